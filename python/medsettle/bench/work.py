"""What is asked of a hub: visits, whole stays, and the mix of a country, each as a task of one command or more.

Invariant: cards sign while tasks are prepared, in the order in which they will be begun; a counter value is used once.
Invariant: the same seed and the same town give the same tasks.
Leaves out when a task begins and how its commands travel.

The mix. The national papers give the settlements (mission.md, "Proportion": about 240 a second of all insurance, of
which half a settlement a second is a stay across provinces) and what is done about a lost card (national.md 3.1: a
temporary loss by telephone, lifted by the holder). How often cards are lost, requests are repeated and cryptograms are
wrong they do not say: those shares are assumptions, named here and in every report.

| event | share | from |
| --- | --- | --- |
| whole stay | 0.5 in 240 | mission.md, "Proportion" |
| loss report, withdrawn at once | 1 in 1,000 | assumed: a few cards in a thousand persons a year |
| the same request again | 1 in 100 | assumed: lost replies and impatient clerks |
| wrong cryptogram | 1 in 1,000 | assumed: worn chips and attempts |
| visit | the rest | |

Visits are drawn so that the person of rank r comes in proportion to 1/r (Zipf): a few are hot. Whose card is lost or
copied is drawn evenly.
"""

import itertools
import random
from bisect import bisect
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from medsettle.auth.actor import Actor
from medsettle.bench.plan import COUNTRY_PER_SECOND, STAYS_OF_A_PERSON, Plan, Workload
from medsettle.bench.town import Person, Town
from medsettle.bench.transport import Answer, Command, Composer
from medsettle.demo import world
from medsettle.demo.patient import PURCHASE_TYPE, TERMINAL, chip_of
from medsettle.softcard import ADMISSION_TYPE
from medsettle.v1 import cards_pb2, common_pb2, inpatient_pb2, presentation_pb2, visits_pb2

STAYS_SHARE = 0.5 / COUNTRY_PER_SECOND
LOSSES_SHARE = 0.001
REPEATED_SHARE = 0.01
WRONG_SHARE = 0.001

REMEMBERED = 1_000
"""Visits of which one may be asked for again: those of the last seconds."""

VISIT_YUAN = 120
LINES_A_DAY, DAYS_OF_STAY = 20, 5
STAY_FEN = LINES_A_DAY * DAYS_OF_STAY * 30_00
Steps = Generator[Command, Answer, None]
Task = Callable[[], Steps]
"""Begins what was prepared: commands, each sent when the one before was answered."""

_BY_PHOTO = presentation_pb2.HolderCheck(method=presentation_pb2.HolderCheck.PHOTO)


@dataclass(frozen=True, slots=True)
class Single:
    """A task of one command."""

    command: Command

    def __call__(self) -> Steps:
        """See `Task`."""
        yield self.command


@dataclass(frozen=True, slots=True)
class Sequential:
    """A task of commands that do not depend on each other's answers; it ends with the first that is refused."""

    commands: tuple[Command, ...]

    def __call__(self) -> Steps:
        """See `Task`."""
        for command in self.commands:
            answer = yield command
            if answer.response is None:
                return


class Work:
    """Prepares tasks for a town."""

    def __init__(self, plan: Plan, town: Town, composer: Composer) -> None:
        self._plan = plan
        self._town = town
        self._composer = composer
        self._random = random.Random(plan.seed)
        self._order = list(town.persons)
        self._random.shuffle(self._order)
        self._turns = itertools.cycle(self._order)
        self._today = world.today()
        self._stays = 0
        self._recent: deque[Command] = deque(maxlen=REMEMBERED)
        ranks = itertools.accumulate(1 / rank for rank in range(1, len(self._order) + 1))
        self._zipf = list(ranks)

    def tasks(self) -> Iterator[Task]:
        """Prepare tasks, one after the other, for ever."""
        prepare = {Workload.VISIT: self._visit, Workload.STAY: self._stay, Workload.MIXED: self._event}
        one = prepare[self._plan.workload]
        while True:
            yield one()

    def visits(self) -> Iterator[Command]:
        """Prepare visits as commands, person after person, for ever."""
        while True:
            yield self._visit_of(next(self._turns))

    def _visit(self) -> Task:
        return Single(self._visit_of(next(self._turns)))

    def _event(self) -> Task:
        drawn = self._random.random()
        for share, prepare in (
            (STAYS_SHARE, self._stay),
            (LOSSES_SHARE, self._loss),
            (REPEATED_SHARE, self._repeated),
            (WRONG_SHARE, self._wrong),
        ):
            if drawn < share:
                return prepare()
            drawn -= share
        return self._hot_visit()

    def _hot_visit(self) -> Task:
        rank = bisect(self._zipf, self._random.random() * self._zipf[-1])
        command = self._visit_of(self._order[min(rank, len(self._order) - 1)])
        self._recent.append(command)
        return Single(command)

    def _repeated(self) -> Task:
        return Single(self._random.choice(self._recent)) if self._recent else self._hot_visit()

    def _wrong(self) -> Task:
        return Single(self._visit_of(self._random.choice(self._order), spoil=True))

    def _visit_of(self, person: Person, *, spoil: bool = False) -> Command:
        hospital, day = self._town.actors.hospital, self._today.isoformat()
        shown = self._shown(person, VISIT_YUAN * 100, PURCHASE_TYPE)
        if spoil:
            shown.chip.cryptogram = bytes(byte ^ 0xFF for byte in shown.chip.cryptogram)
        request = visits_pb2.VisitsSettleRequest(
            header=self._town.header(hospital),
            visit_kind=common_pb2.VisitKind.OUTPATIENT,
            visit_date=day,
            department="internal medicine",
            diagnosis="J06",
            lines=[
                inpatient_pb2.ChargeLine(
                    line_id="1", item_code=world.CONSULTATION, quantity="1", unit_price=str(VISIT_YUAN), date=day
                )
            ],
            total_fen=VISIT_YUAN * 100,
            presentation=shown,
            holder_check=_BY_PHOTO,
        )
        return self._composer.command("Visits.Settle", hospital, request)

    def _loss(self) -> Task:
        """Report a card lost by telephone, and withdraw the report when it was acknowledged."""
        person, desk = self._random.choice(self._order), self._town.actors.agency
        report = cards_pb2.CardsReportLossRequest(
            header=self._town.header(desk),
            certificate=person.certificate,
            loss=cards_pb2.Loss.TEMPORARY,
            channel=cards_pb2.Channel.PHONE,
            verified_by="hotline",
        )
        withdrawal = cards_pb2.CardsWithdrawLossRequest(
            header=self._town.header(desk), card_id=person.card_id, verified_by="hotline"
        )
        return Sequential(
            (
                self._composer.command("Cards.ReportLoss", desk, report),
                self._composer.command("Cards.WithdrawLoss", desk, withdrawal),
            )
        )

    def _stay(self) -> Task:
        """Prepare a stay: admission, five days of 20 lines, discharge, quote, settlement."""
        turn, place = divmod(self._stays, len(self._order))
        self._stays += 1
        person = self._order[place]
        # A person's later stay lies behind the earlier ones: an open stay would overlap whatever comes after it.
        admission = self._today - timedelta(days=(DAYS_OF_STAY + 1) * (STAYS_OF_A_PERSON - turn % STAYS_OF_A_PERSON))
        return _Stay(
            self._town,
            self._composer,
            admission,
            self._shown(person, 0, ADMISSION_TYPE),
            self._shown(person, STAY_FEN, PURCHASE_TYPE),
        ).steps

    def _shown(self, person: Person, amount_fen: int, transaction_type: int) -> presentation_pb2.Presentation:
        signature = person.card.sign(amount_fen, 0, self._today, transaction_type, rng=self._random)
        return presentation_pb2.Presentation(chip=chip_of(signature), terminal_id=TERMINAL)


class _Stay:
    """One stay; what does not need its id is encoded beforehand."""

    def __init__(
        self,
        town: Town,
        composer: Composer,
        admission: date,
        at_admission: presentation_pb2.Presentation,
        at_settlement: presentation_pb2.Presentation,
    ) -> None:
        self._composer = composer
        self._hospital: Actor = town.actors.hospital
        admit = inpatient_pb2.InpatientAdmitRequest(
            header=town.header(self._hospital),
            presentation=at_admission,
            holder_check=_BY_PHOTO,
            admission_date=admission.isoformat(),
            kind=inpatient_pb2.AdmissionKind.PLANNED,
            department="cardiology",
            diagnosis="I20.0",
        )
        self._admit = composer.command("Inpatient.Admit", self._hospital, admit)
        self._headers = [town.header(self._hospital) for _ in range(DAYS_OF_STAY + 2)]
        self._lines = [_lines_of(day, admission).SerializeToString() for day in range(DAYS_OF_STAY)]
        self._discharge = admission + timedelta(days=DAYS_OF_STAY)
        self._settlement = inpatient_pb2.InpatientSettleRequest(
            total_fen=STAY_FEN, presentation=at_settlement, holder_check=_BY_PHOTO
        ).SerializeToString()

    def steps(self) -> Steps:
        """Go through the stay; it ends with the first refusal."""
        headers = iter(self._headers)
        answer = yield self._admit
        admitted = answer.response
        if not isinstance(admitted, inpatient_pb2.InpatientAdmitResponse):
            return
        stay = admitted.stay_id
        for lines in self._lines:
            charges = inpatient_pb2.InpatientAddChargesRequest(header=next(headers), stay_id=stay)
            answer = yield self._composer.command("Inpatient.AddCharges", self._hospital, charges, lines)
            if answer.response is None:
                return
        discharge = inpatient_pb2.InpatientDischargeRequest(
            header=next(headers), stay_id=stay, discharge_date=self._discharge.isoformat()
        )
        answer = yield self._composer.command("Inpatient.Discharge", self._hospital, discharge)
        if answer.response is None:
            return
        quote = inpatient_pb2.InpatientQuoteRequest(stay_id=stay)
        answer = yield self._composer.command("Inpatient.Quote", self._hospital, quote)
        quoted = answer.response
        if not isinstance(quoted, inpatient_pb2.InpatientQuoteResponse):
            return
        settle = inpatient_pb2.InpatientSettleRequest(
            header=next(headers), stay_id=stay, quote_digest=quoted.quote_digest
        )
        yield self._composer.command("Inpatient.Settle", self._hospital, settle, self._settlement)


def _lines_of(day: int, admission: date) -> inpatient_pb2.InpatientAddChargesRequest:
    on = (admission + timedelta(days=day)).isoformat()
    request = inpatient_pb2.InpatientAddChargesRequest()
    for number in range(LINES_A_DAY):
        request.lines.add(
            line_id=str(1 + day * LINES_A_DAY + number),
            item_code=("SURGERY", "ANTIBIOTIC", "CONSULTATION")[number % 3],
            quantity="1",
            unit_price="30",
            date=on,
        )
    return request
