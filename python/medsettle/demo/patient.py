"""A patient at the counter: the person as the hub knows them, and the chip of their card.

Invariant: every presentation is signed anew, so a counter value is used once.
Leaves out the chip's cryptography: softcard.py.
"""

from dataclasses import dataclass, field

from medsettle.demo import world
from medsettle.softcard import ADMISSION_TYPE, Signature, SoftCard
from medsettle.v1 import common_pb2, presentation_pb2

PURCHASE_TYPE = 0x00
"""Transaction type (9C) of a payment."""

TERMINAL = "COUNTER-1"


@dataclass
class Patient:
    """A resident with the ids that the hub gave, and the card in use."""

    resident: world.Resident
    person_id: int
    card_id: int
    card: SoftCard
    _shown: dict[bytes, Signature] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The full name."""
        return self.resident.name

    @property
    def certificate(self) -> common_pb2.Certificate:
        """The identity card."""
        return common_pb2.Certificate(kind=common_pb2.Certificate.IDENTITY_CARD, number=self.resident.identity_number)

    def show_card(self) -> presentation_pb2.Presentation:
        """Put the card into the terminal for an admission."""
        return self._sign(0, 0, ADMISSION_TYPE)

    def sign_bill(self, total_fen: int, account_fen: int = 0) -> presentation_pb2.Presentation:
        """Let the chip sign a bill and what may be drawn from the personal account."""
        return self._sign(total_fen, account_fen, PURCHASE_TYPE)

    def accepts(self, shown: presentation_pb2.Presentation, answer: presentation_pb2.ChipAnswer) -> bool:
        """Let the chip verify that the answer comes from its issuer's hub and belongs to what it signed."""
        return self.card.check_arpc(self._shown[shown.chip.cryptogram], answer.arc, answer.arpc)

    def _sign(self, amount_fen: int, other_amount_fen: int, transaction_type: int) -> presentation_pb2.Presentation:
        signature = self.card.sign(amount_fen, other_amount_fen, world.today(), transaction_type)
        self._shown[signature.cryptogram] = signature
        return presentation_pb2.Presentation(chip=chip_of(signature), terminal_id=TERMINAL)


def chip_of(signature: Signature) -> presentation_pb2.Chip:
    """Give a signature as the contract's message."""
    return presentation_pb2.Chip(
        pan=signature.pan,
        sequence_number=signature.sequence_number,
        card_sn=signature.card_sn,
        scheme=presentation_pb2.Chip.Scheme.Value(signature.scheme),
        key_index=signature.key_index,
        atc=signature.atc,
        amount_fen=signature.amount_fen,
        other_amount_fen=signature.other_amount_fen,
        terminal_country=signature.terminal_country,
        tvr=signature.tvr,
        currency=signature.currency,
        transaction_date=signature.transaction_date,
        transaction_type=signature.transaction_type,
        unpredictable_number=signature.unpredictable_number,
        aip=signature.aip,
        cvr=signature.cvr,
        cryptogram=signature.cryptogram,
    )
