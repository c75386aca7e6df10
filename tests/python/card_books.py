"""Books on cards and accounts kept apart from the hub's, written from the design of cards and not from the engine.

Invariant: every operation either changes the books or raises `Refused` with the reason that the hub must give.
Invariant: nothing here knows the engine, its messages or its ids; cards and persons go by their place in the books.
A further operation is a row of `TABLE` or a method of `Books`, and a rule in test_card_histories.py.
"""

from dataclasses import dataclass, field

INSURANCE, BANK = "INSURANCE", "BANK"
ZONES = (INSURANCE, BANK)
WEEK_MS = 7 * 24 * 3_600_000
FUND_PERCENT = 55

IN_HAND = frozenset({"ISSUED", "ENABLED", "LOCKED"})
"""With the holder, and neither lost nor dead: what a loss can hide."""
IN_USE = frozenset({"ENABLED", "LOCKED"})
ON_ITS_WAY = frozenset({"APPLIED", "MADE", "ISSUED"})

TABLE: dict[str, dict[str, str]] = {
    "FAIL": {"APPLIED": "FAILED"},
    "MAKE": {"APPLIED": "MADE"},
    "HAND_OVER": {"MADE": "ISSUED"},
    "ENABLE": {"ISSUED": "ENABLED"},
    "FORMAL": dict.fromkeys(IN_HAND | {"TEMP_LOST"}, "FORMAL_LOST"),
    # A formal loss never ends, so that a card that is lost for ever can be replaced.
    "CANCEL": dict.fromkeys(IN_HAND | {"APPLIED", "MADE", "TEMP_LOST"}, "CANCELLED"),
    # Nothing locks a card in these histories.
    "UNLOCK": {},
    # These two hide a state or show it again.
    "TEMPORARY": dict.fromkeys(IN_HAND, "TEMP_LOST"),
    "WITHDRAW": {"TEMP_LOST": "BEFORE"},
}
"""State after an event by the state that is shown; what is not here is refused."""

REFUSED_AS_LOST = frozenset({"ENABLE", "TEMPORARY", "UNLOCK"})
"""What a card that is lost for a week could have done before and can do again."""

SETTLING = {
    "MADE": "CARD_NOT_COLLECTED",
    "TEMP_LOST": "CARD_LOST",
    "FORMAL_LOST": "CARD_LOST",
    "LOCKED": "CARD_LOCKED",
    "CANCELLED": "CARD_CANCELLED",
    "RETIRED": "CARD_RETIRED",
}
"""Why a card that was made does not settle, by what its insurance zone shows; the others may."""


class Refused(Exception):
    """An operation that the hub must refuse; its only argument is the reason."""


@dataclass
class Zone:
    """One zone: its state beneath a temporary loss, and the end of that."""

    state: str = "APPLIED"
    lost_until_ms: int = 0

    def shown(self, now_ms: int) -> str:
        """Tell the state at a moment."""
        hidden = self.state in IN_HAND and now_ms < self.lost_until_ms
        return "TEMP_LOST" if hidden else self.state

    def take(self, event: str, now_ms: int, *, only_look: bool = False) -> None:
        """Change as the table says."""
        shown = self.shown(now_ms)
        after = TABLE[event].get(shown)
        if after is None:
            raise Refused("CARD_LOST" if shown == "TEMP_LOST" and event in REFUSED_AS_LOST else "CARD_STATE_FORBIDS")
        if only_look:
            return
        if after == "TEMP_LOST":
            self.lost_until_ms = now_ms + WEEK_MS
        elif after == "BEFORE":
            self.lost_until_ms = 0
        else:
            self.state = after


@dataclass
class Card:
    """One card."""

    person: int
    predecessor: int | None
    zones: dict[str, Zone] = field(default_factory=lambda: {zone: Zone() for zone in ZONES})

    @property
    def insurance(self) -> Zone:
        return self.zones[INSURANCE]

    def take(self, event: str, now_ms: int) -> None:
        """Let both zones take an event that concerns the card as a whole, or neither; what can still end ends."""
        if event == "CANCEL":
            self.take_where_possible(event, [], now_ms)
            return
        for zone in self.zones.values():
            zone.take(event, now_ms, only_look=True)
        for zone in self.zones.values():
            zone.take(event, now_ms)

    def take_where_possible(self, event: str, zones: list[str], now_ms: int) -> None:
        """Let the named zones (all, when none is named) take an event; refused when none can."""
        refusals = []
        for zone in zones or ZONES:
            try:
                self.zones[zone].take(event, now_ms)
            except Refused as refusal:
                refusals.append(refusal)
        if len(refusals) == len(zones or ZONES):
            raise refusals[0]


@dataclass
class Books:
    """The cards and the money of some persons."""

    now_ms: int
    balances: list[int] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)

    def of(self, person: int) -> list[Card]:
        """Give a person's cards in the order of application."""
        return [card for card in self.cards if card.person == person]

    def apply(self, person: int, predecessor: int | None) -> None:
        """At most one application that is not over; a successor to a card that was made, and one only."""
        if predecessor is not None:
            old = self.cards[predecessor]
            if old.person != person:
                raise Refused("CARD_NOT_OF_PERSON")
            if old.insurance.state in {"APPLIED", "FAILED"}:
                raise Refused("CARD_STATE_FORBIDS")
            if self.has_successor(predecessor):
                raise Refused("CARD_EXISTS")
        if any(card.insurance.state in ON_ITS_WAY for card in self.of(person)):
            raise Refused("CARD_EXISTS")
        self.cards.append(Card(person, predecessor))

    def has_successor(self, number: int) -> bool:
        """Whether a card was replaced: a successor that failed or ended passes its turn on, a lost one keeps it."""
        successors = [later for later, card in enumerate(self.cards) if card.predecessor == number]
        return any(
            self.cards[later].insurance.state not in {"FAILED", "CANCELLED"} or self.has_successor(later)
            for later in successors
        )

    def replace(self, lost: int, *, enable: bool) -> None:
        """Hand over a new card for one lost for ever, unless one is in use that the lost one was not to replace."""
        old = self.cards[lost]
        if old.insurance.state != "FORMAL_LOST":
            raise Refused("CARD_STATE_FORBIDS")
        line, before = set(), old.predecessor
        while before is not None:
            line.add(before)
            before = self.cards[before].predecessor
        beside = [card for number, card in enumerate(self.cards) if card.person == old.person and number not in line]
        if any(card.insurance.state in IN_USE for card in beside):
            raise Refused("CARD_EXISTS")
        self.apply(old.person, lost)
        for zone in self.cards[-1].zones.values():
            zone.state = "ISSUED"
        if enable:
            self.enable(len(self.cards) - 1, INSURANCE)

    def enable(self, number: int, zone: str) -> None:
        """Bring a zone into use; with the insurance zone the card before ends, whole and in the same moment."""
        card = self.cards[number]
        card.zones[zone].take("ENABLE", self.now_ms, only_look=True)
        others = [other for other in self.of(card.person) if other is not card]
        if zone == BANK and any(other.zones[BANK].state in IN_USE for other in others):
            raise Refused("CARD_EXISTS")
        card.zones[zone].take("ENABLE", self.now_ms)
        if zone == INSURANCE:
            for ended in self.superseded(others):
                for zone_of_it in ended.zones.values():
                    zone_of_it.state = "CANCELLED"

    @staticmethod
    def superseded(others: list[Card]) -> list[Card]:
        """Give the card that ends: the one in use, or else one of which only the insurance zone is lost for ever.

        Of several such the one that the bank has enabled, or else the latest; or else one that was never used.
        """
        in_use = [card for card in others if card.insurance.state in IN_USE]
        half_lost = [
            card for card in others if card.insurance.state == "FORMAL_LOST" and card.zones[BANK].state in IN_HAND
        ]
        half_lost.sort(key=lambda card: card.zones[BANK].state in IN_USE)
        collected = [card for card in others if card.insurance.state in IN_HAND]
        return (in_use or half_lost or collected)[-1:]

    def report_person(self, person: int, event: str, zones: list[str]) -> None:
        """Report every card that is in somebody's hands; those that cannot be reported again stay as they are."""
        cards = [card for card in self.of(person) if any(zone.state in IN_HAND for zone in card.zones.values())]
        lost_before = any(zone.state == "FORMAL_LOST" for card in self.of(person) for zone in card.zones.values())
        refusals = [Refused("CARD_LOST" if lost_before else "CARD_UNKNOWN")]
        hit = False
        for card in cards:
            try:
                card.take_where_possible(event, zones, self.now_ms)
                hit = True
            except Refused as refusal:
                refusals.append(refusal)
        if not hit:
            raise refusals[-1]

    def settle(self, number: int, total_fen: int, drawn_fen: int, *, holder_checked: bool) -> tuple[int, int]:
        """Settle a visit; gives what the fund and what the person's cash pay."""
        card = self.cards[number]
        shown = card.insurance.shown(self.now_ms)
        if shown in SETTLING:
            raise Refused(SETTLING[shown])
        if shown == "ISSUED":
            if not holder_checked:
                raise Refused("HOLDER_NOT_VERIFIED")
            self.enable(number, INSURANCE)
        self.balances[card.person] -= drawn_fen
        fund_fen = total_fen * FUND_PERCENT // 100
        return fund_fen, total_fen - fund_fen - drawn_fen
