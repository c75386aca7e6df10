"""The small insured world with a pharmacy in an embedded hub that can be opened again, and one in which people buy."""

from pathlib import Path

from medsettle import EngineSettings, Hub
from medsettle.hub import Acting
from medsettle.v1 import accounts_pb2, cards_pb2, operations_pb2, presentation_pb2
from trial_visits import Counter, found_visits
from trial_world import DESK, ISSUER, OPERATOR, ROLE_OF, Agency, KeyRing, Patient, found_world, make_chip

LedgerBalance = operations_pb2.LedgerBalance
OF_PERSONS = {
    LedgerBalance.PERSONAL_ACCOUNTS,
    LedgerBalance.ONLINE_ACCOUNTS,
    LedgerBalance.CARD_PURSES,
    LedgerBalance.OFFLINE_PURSES,
}
SUCCESSOR_SERIAL = 9_001


class Town:
    """A founded world with a pharmacy, open in this process."""

    def __init__(self, root: Path) -> None:
        self.data, self.ring = root / "data", KeyRing.make(root)
        self.hub = self.open()
        found_world(self.acting(OPERATOR))
        found_visits(self.acting(OPERATOR))
        self.agency = Agency(self.acting(DESK), self.acting(ISSUER), self.acting(OPERATOR))

    def open(self) -> Hub:
        settings = EngineSettings(segment_bytes=1 << 20)
        return Hub.open(self.data, keys=self.ring.path, kek=self.ring.kek, settings=settings)

    def acting(self, institution: str) -> Acting:
        return self.hub.acting([ROLE_OF.get(institution, "HOSPITAL")], institution)

    def at(self, counter: Counter) -> Acting:
        return self.acting(counter.institution)

    def insured(self, balance_fen: int = 10_000) -> Patient:
        patient = self.agency.insure()
        self.agency.credit(patient, balance_fen)
        return patient


class Bank(Town):
    """A town in which holders pay in and buy."""

    def top_up(self, patient: Patient, account: accounts_pb2.Account.Kind.ValueType, amount_fen: int) -> int:
        request = accounts_pb2.AccountsTopUpRequest(
            header=self.agency.desk.header(), card_id=patient.card_id, account=account, amount_fen=amount_fen
        )
        return self.acting(DESK).accounts.top_up(request).balance_fen

    def purchase(
        self,
        counter: Counter,
        patient: Patient,
        account: accounts_pb2.Account.Kind.ValueType,
        amount_fen: int,
        pin: str = "",
    ) -> int:
        request = accounts_pb2.AccountsPurchaseRequest(
            header=counter.header(),
            card_sn=patient.chip.card_sn,
            account=account,
            amount_fen=amount_fen,
            terminal_id="T7",
            pin=pin,
        )
        return self.at(counter).accounts.purchase(request).balance_fen

    def enable(self, card_id: int) -> None:
        request = cards_pb2.CardsEnableRequest(
            header=self.agency.desk.header(), card_id=card_id, zone=cards_pb2.Zone.INSURANCE
        )
        self.acting(DESK).cards.enable(request)

    def successor(self, patient: Patient, purse_fen: int = 0, serial: int = SUCCESSOR_SERIAL) -> Patient:
        """Make and hand over a card that follows the patient's, with this brought over under it."""
        hub, header = self.acting(ISSUER).cards, self.agency.issuer.header
        applied = hub.apply(
            cards_pb2.CardsApplyRequest(
                header=header(),
                person_id=patient.person_id,
                predecessor_card_id=patient.card_id,
                generation="3",
            )
        )
        chip = make_chip(serial)
        made = cards_pb2.CardsMarkMadeRequest(
            header=header(),
            card_id=applied.card_id,
            pan=chip.pan,
            sequence_number=chip.sequence_number,
            card_sn=chip.card_sn,
            purse_fen=purse_fen,
        )
        # Only a card without a chip has a purse that the hub keeps.
        if not purse_fen:
            made.scheme, made.key_index = presentation_pb2.Chip.PBOC_SM4, chip.key_index
        hub.mark_made(made)
        hub.hand_over(cards_pb2.CardsHandOverRequest(header=header(), card_id=applied.card_id, collected_by="holder"))
        return Patient(patient.person_id, patient.certificate, applied.card_id, chip)

    def accounts(self, patient: Patient) -> list[tuple[int, int, int]]:
        held = self.acting(DESK).accounts.get(accounts_pb2.AccountsGetRequest(person_id=patient.person_id))
        return [(row.kind, row.card_id, row.balance_fen) for row in held.accounts]

    def money(self) -> int:
        books = self.acting(OPERATOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert books.sum_fen == 0
        held = sum(row.balance_fen for row in books.balances if row.account in OF_PERSONS)
        assert held == books.personal_balances_fen
        return held
