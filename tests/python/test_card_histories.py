"""Random histories of cards over an embedded hub whose clock the test turns, against books kept apart: card_books.py.

After every step the hub and the books agree on what was accepted and why not, on both zones of every card, and on
every balance. F1: no two cards of a person are enabled in one zone. F5: a card event moves no money, in no account of
the ledger.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from card_books import BANK, IN_HAND, INSURANCE, TABLE, WEEK_MS, ZONES, Books, Refused
from medsettle import Rejected
from medsettle.softcard import SoftCard
from medsettle.v1 import accounts_pb2, cards_pb2, common_pb2, operations_pb2, persons_pb2, visits_pb2
from trial_cards import CardTown
from trial_world import AUDITOR, DESK, LOCAL_HOSPITAL, OPERATOR, make_chip, replacement

HOUR_MS, SECOND_MS = 3_600_000, 1_000
TOTAL_FEN = 10_000
MOST_DRAWN_FEN = 4_000
PERSONS = 2

ages = st.integers(0, 3)
persons = st.integers(0, PERSONS - 1)
zones = st.lists(st.sampled_from(ZONES), unique=True)
losses = st.sampled_from(["TEMPORARY", "TEMPORARY", "FORMAL"])
aims = st.sampled_from([True, True, True, False])
"""Whether an event goes to a card that can take it, where there is one."""


class CardHistories(RuleBasedStateMachine):
    """One hub for all histories: each has persons of its own, and time only goes on."""

    town: CardTown

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(self.town.clock.now_ms)
        self.person_ids: list[int] = []
        self.certificates: list[common_pb2.Certificate] = []
        self.card_ids: list[int] = []
        self.chips: dict[int, SoftCard] = {}

    def card(self, age: int, event: str = "", zones: Sequence[str] = ZONES) -> int:
        """Name a card by its age, 0 is the newest; of those with a zone that can take the event, if one is named."""
        numbers = range(len(self.card_ids))
        ready = [number for number in numbers if event and self.can_take(number, event, zones)]
        return (ready or numbers)[-1 - age % len(ready or numbers)]

    def can_take(self, number: int, event: str, zones: Sequence[str]) -> bool:
        card = self.books.cards[number]
        return any(card.zones[zone].shown(self.books.now_ms) in TABLE[event] for zone in zones or ZONES)

    def agree(self, book: Callable[[], object], institution: str, method: str, request: Message) -> Message | None:
        """Let the books and the hub do the same; both accept, or both refuse for the same reason."""
        expected, told, response = "", "", None
        try:
            book()
        except Refused as refusal:
            expected = str(refusal)
        try:
            response = self.town.ask(institution, method, request)
        except Rejected as refusal:
            told = refusal.reason
        assert told == expected
        return response

    @contextmanager
    def no_money_moves(self) -> Iterator[None]:
        before = self.ledger()
        yield
        assert self.ledger() == before

    def card_event(self, book: Callable[[], object], institution: str, method: str, request: Message) -> Message | None:
        with self.no_money_moves():
            return self.agree(book, institution, method, request)

    def ledger(self) -> list[tuple[str, int]]:
        trial = self.town.acting(AUDITOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert trial.sum_fen == 0
        return sorted((str(row), row.balance_fen) for row in trial.balances)

    @initialize()
    def enrol(self) -> None:
        for _ in range(PERSONS):
            request = self.town.enrolment()
            enrolled = self.town.ask(DESK, "Persons.Enroll", request)
            assert isinstance(enrolled, persons_pb2.PersonsEnrollResponse)
            self.person_ids.append(enrolled.person_id)
            self.certificates.append(request.certificates[0])
            self.books.balances.append(0)
        for person in range(PERSONS):
            self.go_on(person, 3 + person, INSURANCE)

    @rule(person=persons, amount_fen=st.integers(1, 20_000))
    def credit(self, person: int, amount_fen: int) -> None:
        header = self.town.header(OPERATOR)
        request = accounts_pb2.AccountsCreditRequest(
            header=header,
            person_id=self.person_ids[person],
            amount_fen=amount_fen,
            period_key=header.request_id,
        )
        self.town.ask(OPERATOR, "Accounts.Credit", request)
        self.books.balances[person] += amount_fen

    @rule(person=persons, age=st.none() | ages)
    def apply(self, person: int, age: int | None) -> None:
        self.apply_for(person, None if age is None or not self.card_ids else self.card(age))

    def apply_for(self, person: int, predecessor: int | None) -> None:
        request = cards_pb2.CardsApplyRequest(
            header=self.town.header(DESK),
            person_id=self.person_ids[person],
            predecessor_card_id=0 if predecessor is None else self.card_ids[predecessor],
            generation="3",
        )
        applied = self.card_event(lambda: self.books.apply(person, predecessor), DESK, "Cards.Apply", request)
        if isinstance(applied, cards_pb2.CardsApplyResponse):
            self.card_ids.append(applied.card_id)

    @precondition(lambda self: self.card_ids)
    @rule(age=ages, event=st.sampled_from(["MAKE", "HAND_OVER", "FAIL", "CANCEL"]), aim=aims)
    def move(self, age: int, event: str, aim: bool) -> None:
        self.move_card(self.card(age, event if aim else ""), event)

    def move_card(self, number: int, event: str) -> None:
        """Let a card as a whole go on in its life, or end."""
        chip = make_chip(next(self.town.serials))
        ask = self.town.moving(event, self.card_ids[number], chip)
        card = self.books.cards[number]
        moved = self.card_event(lambda: card.take(event, self.books.now_ms), *ask)
        if isinstance(moved, cards_pb2.CardsMarkMadeResponse):
            self.chips[number] = chip

    @rule(person=persons, steps=st.integers(1, 5), zone=st.sampled_from(ZONES))
    def go_on(self, person: int, steps: int, zone: str) -> None:
        """Let happen what comes next for the newest card of a person, in this zone; at its end the next card."""
        for _ in range(steps):
            mine = [number for number, card in enumerate(self.books.cards) if card.person == person]
            if not mine or self.books.cards[mine[-1]].insurance.state == "FAILED":
                self.apply_for(person, None)
                continue
            newest = self.books.cards[mine[-1]]
            match newest.zones[zone].state:
                case "APPLIED":
                    self.move_card(mine[-1], "MAKE")
                case "MADE":
                    self.move_card(mine[-1], "HAND_OVER")
                case "ISSUED":
                    self.enable_zone(mine[-1], zone)
                case _ if newest.insurance.state == "ISSUED":
                    self.enable_zone(mine[-1], INSURANCE)
                case _:
                    self.apply_for(person, mine[-1])

    @precondition(lambda self: self.card_ids)
    @rule(age=ages, zone=st.sampled_from(ZONES), aim=aims)
    def enable(self, age: int, zone: str, aim: bool) -> None:
        self.enable_zone(self.card(age, "ENABLE" if aim else "", [zone]), zone)

    def enable_zone(self, number: int, zone: str) -> None:
        request = cards_pb2.CardsEnableRequest(
            header=self.town.header(DESK), card_id=self.card_ids[number], zone=cards_pb2.Zone.Kind.Value(zone)
        )
        self.card_event(lambda: self.books.enable(number, zone), DESK, "Cards.Enable", request)

    @precondition(lambda self: self.chips)
    @rule(
        age=ages, drawn_fen=st.integers(0, MOST_DRAWN_FEN), pin=st.booleans(), looked=st.booleans(), aim=st.booleans()
    )
    def visit(self, age: int, drawn_fen: int, pin: bool, looked: bool, aim: bool) -> None:
        """Settle a visit, with or without a look at the holder or a PIN on the chip; it may be the card's first use."""
        in_hand = {number for number in self.chips if self.books.cards[number].insurance.state in IN_HAND}
        made = sorted(in_hand if aim else self.chips.keys() - in_hand) or sorted(self.chips)
        number = made[-1 - age % len(made)]
        drawn_fen = min(drawn_fen, self.books.balances[self.books.cards[number].person])
        request = self.town.visit(self.chips[number], TOTAL_FEN, drawn_fen, pin=pin, looked=looked)
        split: list[tuple[int, int]] = []
        settled = self.agree(
            lambda: split.append(self.books.settle(number, TOTAL_FEN, drawn_fen, holder_checked=pin or looked)),
            LOCAL_HOSPITAL,
            "Visits.Settle",
            request,
        )
        if isinstance(settled, visits_pb2.VisitsSettleResponse):
            assert [(settled.split.fund_total_fen, settled.split.cash_fen)] == split
            assert settled.split.account_fen == drawn_fen

    @precondition(lambda self: self.card_ids)
    @rule(age=ages, loss=losses, named=zones, aim=aims)
    def report_card(self, age: int, loss: str, named: list[str], aim: bool) -> None:
        number = self.card(age, loss if aim else "", named)
        card = self.books.cards[number]
        request = self.town.loss_report(loss, named)
        request.card_id = self.card_ids[number]
        self.card_event(
            lambda: card.take_where_possible(loss, named_in_order(named), self.books.now_ms),
            DESK,
            "Cards.ReportLoss",
            request,
        )

    @rule(person=persons, loss=losses, named=zones)
    def report_by_certificate(self, person: int, loss: str, named: list[str]) -> None:
        request = self.town.loss_report(loss, named)
        request.certificate.CopyFrom(self.certificates[person])
        self.card_event(
            lambda: self.books.report_person(person, loss, named_in_order(named)),
            DESK,
            "Cards.ReportLoss",
            request,
        )

    @precondition(lambda self: self.card_ids)
    @rule(age=ages, named=zones, aim=aims)
    def withdraw_loss(self, age: int, named: list[str], aim: bool) -> None:
        number = self.card(age, "WITHDRAW" if aim else "", named)
        card = self.books.cards[number]
        request = cards_pb2.CardsWithdrawLossRequest(
            header=self.town.header(DESK),
            card_id=self.card_ids[number],
            zones=[cards_pb2.Zone.Kind.Value(zone) for zone in named],
            verified_by="clerk",
        )
        self.card_event(
            lambda: card.take_where_possible("WITHDRAW", named_in_order(named), self.books.now_ms),
            DESK,
            "Cards.WithdrawLoss",
            request,
        )

    @precondition(lambda self: self.card_ids)
    @rule(age=ages, enable=st.booleans(), aim=aims)
    def replace(self, age: int, enable: bool, aim: bool) -> None:
        """Replace a card on the spot: mostly one that is lost for ever."""
        lost = [number for number, card in enumerate(self.books.cards) if card.insurance.state == "FORMAL_LOST"]
        number = lost[-1 - age % len(lost)] if aim and lost else self.card(age)
        chip = make_chip(next(self.town.serials))
        request = replacement(self.town.header(DESK), self.card_ids[number], chip, enable=enable)
        replaced = self.card_event(lambda: self.books.replace(number, enable=enable), DESK, "Cards.Replace", request)
        if isinstance(replaced, cards_pb2.CardsReplaceResponse):
            self.chips[len(self.card_ids)] = chip
            self.card_ids.append(replaced.card.card_id)

    @precondition(lambda self: self.card_ids)
    @rule(age=ages, zone=st.sampled_from(ZONES))
    def unlock(self, age: int, zone: str) -> None:
        number = self.card(age)
        card = self.books.cards[number]
        request = cards_pb2.CardsUnlockRequest(
            header=self.town.header(DESK), card_id=self.card_ids[number], zone=cards_pb2.Zone.Kind.Value(zone)
        )
        self.card_event(lambda: card.zones[zone].take("UNLOCK", self.books.now_ms), DESK, "Cards.Unlock", request)

    @rule(ms=st.sampled_from([1, SECOND_MS, HOUR_MS, 50 * HOUR_MS, WEEK_MS]))
    def wait(self, ms: int) -> None:
        self.town.clock.advance(ms)
        self.books.now_ms = self.town.clock.now_ms

    @precondition(lambda self: self.losses())
    @rule(which=st.integers(0, 7), short_by_ms=st.sampled_from([0, 1, SECOND_MS]))
    def wait_for_the_end_of_a_loss(self, which: int, short_by_ms: int) -> None:
        ends = self.losses()
        self.wait(max(0, ends[which % len(ends)] - short_by_ms - self.books.now_ms))

    def losses(self) -> list[int]:
        """Tell when the losses end that are not over."""
        now_ms = self.books.now_ms
        lost = (zone for card in self.books.cards for zone in card.zones.values() if zone.shown(now_ms) == "TEMP_LOST")
        return sorted({zone.lost_until_ms for zone in lost})

    @invariant()
    def hub_and_books_agree(self) -> None:
        auditor = self.town.acting(AUDITOR)
        for person, person_id in enumerate(self.person_ids):
            listed = auditor.cards.list(cards_pb2.CardsListRequest(person_id=person_id)).cards
            numbers = [number for number, card in enumerate(self.books.cards) if card.person == person]
            assert [card.card_id for card in listed] == [self.card_ids[number] for number in numbers]
            for shown, number in zip(listed, numbers, strict=True):
                assert self.shown(shown) == self.expected(number)
            for states in ([card.insurance_state for card in listed], [card.bank_state for card in listed]):
                assert states.count(cards_pb2.Card.ENABLED) <= 1
            accounts = auditor.accounts.get(accounts_pb2.AccountsGetRequest(person_id=person_id)).accounts
            assert sum(account.balance_fen for account in accounts) == self.books.balances[person]

    @staticmethod
    def shown(card: cards_pb2.Card) -> dict[str, tuple[str, int]]:
        name = cards_pb2.Card.State.Name
        return {
            INSURANCE: (name(card.insurance_state), card.insurance_lost_until_ms),
            BANK: (name(card.bank_state), card.bank_lost_until_ms),
        }

    def expected(self, number: int) -> dict[str, tuple[str, int]]:
        shown = {}
        for kind, zone in self.books.cards[number].zones.items():
            state = zone.shown(self.books.now_ms)
            shown[kind] = state, zone.lost_until_ms if state == "TEMP_LOST" else 0
        return shown


def named_in_order(named: list[str]) -> list[str]:
    """Give zones in the order in which the hub looks at them, whichever way they were named."""
    return [zone for zone in ZONES if zone in named]


@pytest.mark.timeout(300)
def test_f1_and_f5_hold_in_any_history_of_cards_and_hub_and_books_agree() -> None:
    with tempfile.TemporaryDirectory() as root:
        town = CardTown(Path(root))
        with town.hub:
            histories = type("Histories", (CardHistories,), {"town": town})
            run_state_machine_as_test(
                histories,
                settings=settings(
                    max_examples=40,
                    stateful_step_count=50,
                    deadline=None,
                    derandomize=True,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
                ),
            )
