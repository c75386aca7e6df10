"""Is the function right? The same visits at a hub and in PostgreSQL, whose answers must be equal to the fen.

The hub is an embedded one on a directory of its own, and its answers are those of the engine. They are settled under
the package that is measured, and under one with deductibles and three bands, which that of the measurement has not.

Invariant: whatever differs is an error; nothing is measured of a function that decides otherwise.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cluster import Cluster, Programs, running
from state import HERE, Holder, furnish

from medsettle import jsonform
from medsettle.bench.town import Person, Town
from medsettle.bench.trial import Actors
from medsettle.config import EngineSettings
from medsettle.demo import world
from medsettle.demo.patient import PURCHASE_TYPE, TERMINAL, chip_of
from medsettle.demo.scratch import Scratch
from medsettle.errors import Rejected
from medsettle.hub import AsyncActing, AsyncHub
from medsettle.v1 import (
    accounts_pb2,
    cards_pb2,
    common_pb2,
    inpatient_pb2,
    packages_pb2,
    persons_pb2,
    presentation_pb2,
    visits_pb2,
)

PERSONS = 6
BALANCE_FEN = 30_000
LOST = PERSONS - 1
"""The person whose card is reported lost before anything is settled."""

SETTLED = (
    "total_fen",
    "own_pay_fen",
    "over_ceiling_fen",
    "first_pay_fen",
    "in_scope_fen",
    "deductible_fen",
    "pool_fen",
    "account_fen",
    "cash_fen",
)
"""What is compared of a split; and the balance, whether it is a repetition, and the reason of a refusal."""

Line = tuple[str, str, str]
"""Item, pieces, yuan each."""


@dataclass(frozen=True, slots=True)
class Step:
    """A visit of a person: a fresh one, or in some way like the one before."""

    person: int
    lines: Sequence[Line]
    account_fen: int = 0
    total_off_by_fen: int = 0
    same_id: bool = False
    same_use: bool = False
    """The card's counter stands where it stood."""


def steps() -> Iterator[Step]:
    """Give the visits, each of which asks something else of the rules."""
    consultation: Line = ("CONSULTATION", "1", "120")
    # What the load consists of; then roundings, first pay, ceilings, and what is wholly the person's.
    yield Step(0, [consultation])
    yield Step(0, [consultation], same_id=True, same_use=True)
    yield Step(0, [("CONSULTATION", "1", "130")], same_id=True)
    yield Step(0, [consultation], same_use=True)
    yield Step(0, [("CONSULTATION", "0.3333", "100.01"), ("ANTIBIOTIC", "7", "91.234567")])
    yield Step(0, [("STENT", "1", "4000"), ("WARD-DAY", "1.5", "500"), ("PRIVATE-ROOM", "2", "300.005")])
    yield Step(0, [("CONSULTATION", "1", "0.01")])
    # The account: all of it in two parts, and then more than there is.
    yield Step(1, [consultation], account_fen=5_400)
    yield Step(1, [("CONSULTATION", "1", "1000")], account_fen=BALANCE_FEN - 5_400)
    yield Step(1, [consultation], account_fen=1)
    yield Step(2, [("PRIVATE-ROOM", "1", "50")], account_fen=5_001)
    yield Step(2, [consultation], total_off_by_fen=1)
    yield Step(2, [("UNHEARD-OF", "1", "50")])
    # The limit of the year, met inside a bill, and nothing behind it.
    yield Step(3, [("SURGERY", "1", "6000.37")])
    yield Step(3, [("SURGERY", "1", "5000.55")])
    yield Step(3, [consultation])
    # Every band, from its first fen to beyond its last.
    for yuan in ("200.01", "999.99", "1000", "1000.01", "2999.99", "3000.01", "4321.09"):
        yield Step(4, [("CONSULTATION", "1", yuan)])
    yield Step(LOST, [consultation])


class _AtHub:
    """The visits at a hub, and how they are asked for in SQL."""

    def __init__(self, hospital: AsyncActing, town: Town) -> None:
        self._hospital = hospital
        self._town = town
        self._asked: dict[int, visits_pb2.VisitsSettleRequest] = {}

    def ask(self, step: Step) -> visits_pb2.VisitsSettleRequest:
        """Prepare a step."""
        before = self._asked.get(step.person)
        day = world.today()
        total_fen = sum(_fen(quantity, price) for _, quantity, price in step.lines) + step.total_off_by_fen
        header = self._town.header(self._town.actors.hospital)
        if step.same_id and before is not None:
            header.CopyFrom(before.header)
        shown = self._shown(self._town.persons[step.person], total_fen, step.account_fen)
        if step.same_use and before is not None:
            shown = before.presentation
        request = visits_pb2.VisitsSettleRequest(
            header=header,
            visit_kind=common_pb2.VisitKind.OUTPATIENT,
            visit_date=day.isoformat(),
            department="internal medicine",
            diagnosis="J06",
            lines=[
                inpatient_pb2.ChargeLine(
                    line_id=str(number), item_code=item, quantity=quantity, unit_price=price, date=day.isoformat()
                )
                for number, (item, quantity, price) in enumerate(step.lines, 1)
            ],
            total_fen=total_fen,
            account_request_fen=step.account_fen,
            presentation=shown,
            holder_check=presentation_pb2.HolderCheck(method=presentation_pb2.HolderCheck.PHOTO),
        )
        self._asked.setdefault(step.person, request)
        return request

    async def settle(self, request: visits_pb2.VisitsSettleRequest) -> dict[str, Any]:
        """Give the answer in the form of the comparison."""
        try:
            response = await self._hospital.visits.settle(request)
        except Rejected as refusal:
            return {"reason": refusal.reason}
        split = {name: getattr(response.split, name) for name in SETTLED}
        answer = {"reason": "", "replayed": response.header.replayed, **split}
        return answer | {"balance_after_fen": response.balance_after_fen}

    def _shown(self, person: Person, total_fen: int, account_fen: int) -> presentation_pb2.Presentation:
        signature = person.card.sign(total_fen, account_fen, world.today(), PURCHASE_TYPE)
        return presentation_pb2.Presentation(chip=chip_of(signature), terminal_id=TERMINAL)


def in_sql(request: visits_pb2.VisitsSettleRequest) -> str:
    """Write a request as a call of the function whose answer is JSON."""

    def array(values: Sequence[str], kind: str) -> str:
        return f"ARRAY[{', '.join(values)}]::{kind}[]"

    chip, lines = request.presentation.chip, request.lines
    arguments = [
        f"'{request.header.request_id}'",
        f"'{request.header.institution_code}'",
        chip.pan,
        str(chip.atc),
        f"'{request.visit_date}'",
        array([f"'{line.item_code}'" for line in lines], "text"),
        array([line.quantity for line in lines], "numeric"),
        array([line.unit_price for line in lines], "numeric"),
        str(request.total_fen),
        str(request.account_request_fen),
    ]
    return f"SELECT to_jsonb(settle({', '.join(arguments)}));"


async def check(programs: Programs, scratch: Scratch, policy: Any) -> int:
    """Settle the visits on both sides under a package and give how many were equal; raises AssertionError."""
    town = Town(Actors())
    settings = EngineSettings.load(scratch.config)
    async with await AsyncHub.open(scratch.data, keys=scratch.key_ring, kek=scratch.kek, settings=settings) as hub:
        actors = town.actors
        agency = hub.acting(actors.agency.roles, actors.agency.institution)
        await town.settle_in(agency, scratch, PERSONS, lambda _done, _total: None)
        if policy not in map(world.package, world.VISIT_POLICIES):
            await _install(agency, town, policy)
        await _credit(agency, town)
        lost = cards_pb2.CardsReportLossRequest(
            header=town.header(actors.agency),
            certificate=town.persons[LOST].certificate,
            loss=cards_pb2.Loss.TEMPORARY,
            channel=cards_pb2.Channel.PHONE,
            verified_by="hotline",
        )
        await agency.cards.report_loss(lost)
        hospital = _AtHub(hub.acting(actors.hospital.roles, actors.hospital.institution), town)
        with running(programs) as cluster:
            holders = [
                Holder(int(person.card.pan), BALANCE_FEN, "LOST" if number == LOST else "IN_USE")
                for number, person in enumerate(town.persons)
            ]
            furnish(cluster, policy, holders)
            return await _compare(hospital, cluster)


async def _compare(hospital: _AtHub, cluster: Cluster) -> int:
    equal = 0
    for step in steps():
        request = hospital.ask(step)
        ours = await hospital.settle(request)
        theirs = json.loads(cluster.sql(in_sql(request)))
        if ours != {name: theirs[name] for name in ours}:
            raise AssertionError(f"{step} is decided otherwise:\nhub        {ours}\nPostgreSQL {theirs}")
        equal += 1
    books_close(cluster)
    return equal


def books_close(cluster: Cluster) -> None:
    """Raise AssertionError unless the legs of each settlement sum to zero and its parts are what the tables hold."""
    unbalanced = (
        "SELECT count(*) FROM (SELECT 1 FROM settlement LEFT JOIN leg ON settlement_id = id "
        "GROUP BY id HAVING coalesce(sum(amount_fen), 1) <> 0) AS wrong;"
    )
    kinds = ("eligible", "deductible", "pool", "account")
    differing = (
        "SELECT count(*) FROM (SELECT person_id, extract(year FROM visit_day)::integer AS year, "
        "sum(in_scope_fen) AS eligible, sum(deductible_fen) AS deductible, sum(pool_fen) AS pool, "
        "sum(account_fen) AS account FROM settlement GROUP BY 1, 2) AS settled "
        "FULL JOIN accumulator AS used USING (person_id, year) "
        f"WHERE {' OR '.join(f'settled.{kind} IS DISTINCT FROM used.{kind}_fen' for kind in kinds)};"
    )
    for what, count in (("settlements whose legs do not sum to zero", unbalanced), ("years that differ", differing)):
        if wrong := int(cluster.sql(count)):
            raise AssertionError(f"{what}: {wrong}")


async def _install(agency: AsyncActing, town: Town, policy: Any) -> None:
    request = packages_pb2.PackagesInstallPolicyRequest(
        header=town.header(town.actors.agency), policy=jsonform.parse(packages_pb2.BenefitPolicy, policy)
    )
    await agency.packages.install_policy(request)


async def _credit(agency: AsyncActing, town: Town) -> None:
    for person in town.persons:
        found = await agency.persons.get(persons_pb2.PersonsGetRequest(certificate=person.certificate))
        await agency.accounts.credit(
            accounts_pb2.AccountsCreditRequest(
                header=town.header(town.actors.agency),
                person_id=found.person.person_id,
                amount_fen=BALANCE_FEN,
                period_key="check",
            )
        )


def _fen(quantity: str, price: str) -> int:
    """Round half away from zero; neither is negative."""
    return int((Decimal(quantity) * Decimal(price) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def packages() -> list[tuple[str, Any]]:
    """Give the package that is measured, and the one with deductibles and bands, each with what it is."""
    return [
        ("the package of the load", world.package("policy_jinan_outpatient")),
        ("deductibles and three bands", json.loads((HERE / "bands.json").read_text("utf-8"))),
    ]
