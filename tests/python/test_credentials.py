"""What may be shown beside a right chip, through an embedded hub: tokens, vouchers, and guesses at cryptograms."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from medsettle import Hub, Rejected, keys
from medsettle.softcard import TokenIssuer
from medsettle.v1 import cards_pb2, fraud_pb2, inpatient_pb2, messages_pb2, packages_pb2, presentation_pb2
from trial_town import Town
from trial_world import DESK, LOCAL_HOSPITAL, OPERATOR, PLANNED, Patient, Ward, days_ago, line

KEY_NAME = "app-1"


class App(Town):
    """A town whose people have an app beside the card."""

    def __init__(self, root: Path) -> None:
        self.issuer = TokenIssuer(KEY_NAME)
        super().__init__(root)
        self.ward = Ward(LOCAL_HOSPITAL, "app-")

    def open(self) -> Hub:
        if not self.data.exists():
            keys.import_token_key(self.ring.path, self.ring.kek, KEY_NAME, self.issuer.public_key)
        return super().open()

    def admit(self, presentation: presentation_pb2.Presentation) -> inpatient_pb2.InpatientAdmitResponse:
        request = self.ward.admission(presentation, days_ago(3), PLANNED)
        return self.acting(LOCAL_HOSPITAL).inpatient.admit(request)

    def leave(self, stay_id: int) -> None:
        self.acting(LOCAL_HOSPITAL).inpatient.cancel_admission(
            inpatient_pb2.InpatientCancelAdmissionRequest(header=self.ward.header(), stay_id=stay_id)
        )


def electronic(token: bytes) -> presentation_pb2.Presentation:
    return presentation_pb2.Presentation(
        electronic=presentation_pb2.ElectronicCredential(token=token), terminal_id="T1"
    )


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as refusal:
        call()
    return refusal.value.reason


def alerts(app: App, patient: Patient) -> list[packages_pb2.AlertRule.Kind.ValueType]:
    request = fraud_pb2.FraudListAlertsRequest(person_id=patient.person_id)
    return [alert.kind for alert in app.acting(OPERATOR).fraud.list_alerts(request).alerts]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    opened = App(tmp_path)
    with opened.hub:
        yield opened


@pytest.fixture
def patient(app: App) -> Patient:
    """Somebody whose card is in use."""
    insured = app.insured()
    app.leave(app.admit(insured.card_at_admission()).stay_id)
    return insured


def token(app: App, patient: Patient, institution: str = LOCAL_HOSPITAL, issued_s: int | None = None) -> bytes:
    return app.issuer.token(patient.chip.card_sn, institution, int(time.time()) if issued_s is None else issued_s)


def test_a_token_admits_once_and_says_so_in_every_language_of_the_contract(app: App, patient: Patient) -> None:
    shown = token(app, patient)
    admitted = app.admit(electronic(shown))
    assert (admitted.person_id, admitted.chip_answer.arpc) == (patient.person_id, b"")
    app.leave(admitted.stay_id)
    assert refused(lambda: app.admit(electronic(shown))) == "TOKEN_USED"
    app.hub.close()
    with app.open() as again:
        app.hub = again
        assert refused(lambda: app.admit(electronic(shown))) == "TOKEN_USED", "also after a restart"


def test_a_token_that_is_forged_old_or_for_another_place_is_refused(app: App, patient: Patient) -> None:
    other = TokenIssuer(KEY_NAME)
    forged = other.token(patient.chip.card_sn, LOCAL_HOSPITAL, int(time.time()))
    unknown = TokenIssuer("app-2").token(patient.chip.card_sn, LOCAL_HOSPITAL, int(time.time()))
    assert refused(lambda: app.admit(electronic(forged))) == "TOKEN_INVALID"
    assert refused(lambda: app.admit(electronic(unknown))) == "TOKEN_INVALID"
    assert refused(lambda: app.admit(electronic(token(app, patient, "H37010200099")))) == "TOKEN_INVALID"
    assert (
        refused(lambda: app.admit(electronic(token(app, patient, issued_s=int(time.time()) - 300)))) == "TOKEN_EXPIRED"
    )
    assert refused(lambda: app.admit(electronic(b"a.b"))) == "REQUEST_MALFORMED"


def test_a_token_of_a_lost_card_is_refused_like_the_card(app: App, patient: Patient) -> None:
    app.agency.report_loss(patient, cards_pb2.Loss.TEMPORARY)
    assert refused(lambda: app.admit(electronic(token(app, patient)))) == "CARD_LOST"


def test_a_stay_is_settled_with_a_voucher_when_the_card_is_gone(app: App, patient: Patient) -> None:
    hospital = app.acting(LOCAL_HOSPITAL).inpatient
    stay_id = app.admit(patient.card_at_admission()).stay_id
    billed = hospital.add_charges(app.ward.charges(stay_id, line(1, days_ago(2), "5"))).stay_sum.total_fen
    hospital.discharge(app.ward.discharge(stay_id, days_ago(1)))
    app.agency.report_loss(patient, cards_pb2.Loss.FORMAL)
    assert (
        refused(lambda: hospital.settle(app.ward.settlement(stay_id, patient.card_at_settlement(billed))))
        == "CARD_LOST"
    )
    issued = app.acting(DESK).cards.authorize_stay(
        cards_pb2.CardsAuthorizeStayRequest(
            header=app.agency.desk.header(), stay_id=stay_id, account_limit_fen=500, cause="card stolen"
        )
    )
    request = app.ward.settlement(stay_id, patient.card_at_settlement(billed))
    request.presentation.CopyFrom(presentation_pb2.Presentation(voucher_id=issued.voucher_id, terminal_id="T1"))
    request.total_fen, request.account_request_fen = billed, 501
    assert refused(lambda: hospital.settle(request)) == "VOUCHER_LIMIT_EXCEEDED"
    request.header.request_id += "-less"
    request.account_request_fen = 500
    settled = hospital.settle(request)
    assert settled.split.account_fen == 500
    shown = hospital.get_settlement(
        inpatient_pb2.InpatientGetSettlementRequest(settlement_id=settled.settlement_id)
    ).settlement
    assert (shown.credential, shown.voucher_id, shown.card_sn) == (
        presentation_pb2.Credential.VOUCHER,
        issued.voucher_id,
        "",
    )


def test_three_guesses_stop_the_card_here_and_an_alert_stays(app: App, patient: Patient) -> None:
    hospital = app.acting(LOCAL_HOSPITAL)
    guesses = []
    for _ in range(3):
        guess = app.ward.admission(patient.card_at_admission(), days_ago(3), PLANNED)
        guess.presentation.chip.cryptogram = bytes(8)
        assert refused(partial(hospital.inpatient.admit, guess)) == "CRYPTOGRAM_INVALID"
        guesses.append(guess)
    assert refused(lambda: app.admit(patient.card_at_admission())) == "CARD_BLOCKED_HERE"
    # A refusal that counts is on record: asked again, it is given again and counts once.
    assert refused(lambda: hospital.inpatient.admit(guesses[0])) == "CRYPTOGRAM_INVALID"
    outcome = hospital.messages.get_outcome(
        messages_pb2.MessagesGetOutcomeRequest(request_id=guesses[0].header.request_id)
    )
    assert outcome.outcome == messages_pb2.MessagesGetOutcomeResponse.REFUSED
    assert alerts(app, patient) == [packages_pb2.AlertRule.WRONG_CRYPTOGRAMS]


def test_a_counter_that_jumps_locks_the_card_and_raises_an_alert(app: App, patient: Patient) -> None:
    patient.chip.atc += 1_000
    assert refused(lambda: app.admit(patient.card_at_admission())) == "COUNTER_JUMP"
    assert refused(lambda: app.admit(patient.card_at_admission())) == "CARD_LOCKED"
    assert alerts(app, patient) == [packages_pb2.AlertRule.COUNTER_JUMP]
