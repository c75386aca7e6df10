"""A founded world under a clock that the test turns, and the requests about persons and cards there."""

import itertools
import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

from google.protobuf.message import Message

from medsettle import EngineSettings, Hub, ManualClock
from medsettle.hub import Acting
from medsettle.softcard import CVR_NO_PIN, CVR_PIN_VERIFIED, SoftCard
from medsettle.v1 import cards_pb2, common_pb2, persons_pb2, presentation_pb2, visits_pb2
from trial_visits import OUTPATIENT, found_visits
from trial_world import (
    DESK,
    EFFECTIVE_FROM,
    ISSUER,
    JINAN,
    LOCAL_HOSPITAL,
    OPERATOR,
    PURCHASE_TYPE,
    ROLE_OF,
    KeyRing,
    found_world,
    line,
    presented,
)


class CardTown:
    """The world in a directory, open in this process; the clock stands until the test lets time pass."""

    def __init__(self, root: Path) -> None:
        ring = KeyRing.make(root)
        self.clock = ManualClock(time.time_ns() // 1_000_000)
        small = EngineSettings(segment_bytes=1 << 20)
        self.hub = Hub.open(root / "data", keys=ring.path, kek=ring.kek, settings=small, clock=self.clock)
        found_world(self.acting(OPERATOR))
        found_visits(self.acting(OPERATOR))
        self.serials, self._requests = itertools.count(1), itertools.count(1)

    def acting(self, institution: str) -> Acting:
        return self.hub.acting([ROLE_OF.get(institution, "HOSPITAL")], institution)

    def ask(self, institution: str, method: str, request: Message) -> Message:
        return self.acting(institution).call(method, request)

    def header(self, institution: str) -> common_pb2.RequestHeader:
        """Begin a request that is made now, by the hub's own clock."""
        return common_pb2.RequestHeader(
            request_id=f"{institution}-history-{next(self._requests)}",
            created_ms=self.clock.now_ms,
            institution_code=institution,
            operator="test",
        )

    def today(self) -> date:
        return datetime.fromtimestamp(self.clock.now_ms / 1_000, UTC).astimezone(timezone(timedelta(hours=8))).date()

    def enrolment(self) -> persons_pb2.PersonsEnrollRequest:
        """Make the request that enrols a person who was never seen."""
        serial = next(self.serials)
        spell = persons_pb2.InsuranceSpell(
            insurance_type=common_pb2.InsuranceType.EMPLOYEE,
            region=JINAN,
            category=common_pb2.Category.ACTIVE,
            status=persons_pb2.InsuranceSpell.NORMAL,
            from_date=EFFECTIVE_FROM,
        )
        return persons_pb2.PersonsEnrollRequest(
            header=self.header(DESK),
            name=f"Person {serial}",
            sex=presentation_pb2.Sex.FEMALE,
            birth_date="1980-01-01",
            certificates=[common_pb2.Certificate(kind=common_pb2.Certificate.PASSPORT, number=f"E{serial:08d}")],
            spells=[spell],
        )

    def moving(self, event: str, card_id: int, chip: SoftCard) -> tuple[str, str, Message]:
        """Give who asks for what, by which method, that a card goes on in its life as a whole, or ends."""
        match event:
            case "MAKE":
                made = cards_pb2.CardsMarkMadeRequest(
                    header=self.header(ISSUER),
                    card_id=card_id,
                    pan=chip.pan,
                    sequence_number=chip.sequence_number,
                    card_sn=chip.card_sn,
                    scheme=presentation_pb2.Chip.PBOC_SM4,
                    key_index=chip.key_index,
                )
                return ISSUER, "Cards.MarkMade", made
            case "HAND_OVER":
                collected = cards_pb2.CardsHandOverRequest(
                    header=self.header(DESK), card_id=card_id, collected_by="holder"
                )
                return DESK, "Cards.HandOver", collected
            case "FAIL":
                cause = cards_pb2.CardsFailApplicationRequest.NO_VALID_PHOTO
                failed = cards_pb2.CardsFailApplicationRequest(header=self.header(ISSUER), card_id=card_id, cause=cause)
                return ISSUER, "Cards.FailApplication", failed
            case "CANCEL":
                returned = cards_pb2.CardsCancelRequest.RETURNED
                cancelled = cards_pb2.CardsCancelRequest(header=self.header(DESK), card_id=card_id, cause=returned)
                return DESK, "Cards.Cancel", cancelled
            case _:
                raise AssertionError(f"{event} is nothing that happens to a card as a whole")

    def visit(
        self, chip: SoftCard, total_fen: int, drawn_fen: int, *, pin: bool, looked: bool
    ) -> visits_pb2.VisitsSettleRequest:
        """Make a visit today, with the chip's own check of the PIN or a look at the holder, or neither."""
        today, cvr = self.today(), CVR_PIN_VERIFIED if pin else CVR_NO_PIN
        check = presentation_pb2.HolderCheck
        return visits_pb2.VisitsSettleRequest(
            header=self.header(LOCAL_HOSPITAL),
            visit_kind=OUTPATIENT,
            visit_date=today.isoformat(),
            lines=[line(1, today, "1", str(total_fen // 100))],
            total_fen=total_fen,
            account_request_fen=drawn_fen,
            presentation=presented(chip.sign(total_fen, drawn_fen, today, PURCHASE_TYPE, cvr=cvr)),
            holder_check=check(method=check.PHOTO if looked else check.NONE),
        )

    def loss_report(self, loss: str, zones: list[str]) -> cards_pb2.CardsReportLossRequest:
        """Begin a report; the caller says of what."""
        return cards_pb2.CardsReportLossRequest(
            header=self.header(DESK),
            loss=cards_pb2.Loss.Kind.Value(loss),
            zones=[cards_pb2.Zone.Kind.Value(zone) for zone in zones],
            channel=cards_pb2.Channel.DESK if loss == "FORMAL" else cards_pb2.Channel.PHONE,
            verified_by="clerk",
        )
