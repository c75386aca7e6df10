"""Who is let in and what they may do, as a caller sees it over real TLS; who is refused changes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from medsettle.auth.actor import Actor
from medsettle.auth.ca import CertificateAuthority, IssuedCertificate
from medsettle.errors import CATALOG, Rejected
from medsettle.v1 import (
    accounts_pb2,
    batch_pb2,
    inpatient_pb2,
    operations_pb2,
    persons_pb2,
)
from medsettle.v1.facade import METHODS
from trial_site import CALL_TIMEOUT_S, Failure, HubProcess, Office, Pki, failure_of
from trial_world import BEIJING_HOSPITAL, OPERATOR, OTHER_HOSPITAL, Caller, Patient, Ward, days_ago

STATUS = "Operations.Status"
HOSPITAL = Actor(BEIJING_HOSPITAL, frozenset({"HOSPITAL"}))
BARE = (grpc.StatusCode.UNAVAILABLE, None)
"""What a client sees of a connection that TLS refused: no reason, because no word of ours was ever sent."""


@pytest.fixture(scope="module")
def patient(office: Office) -> Patient:
    return office.agency.insure()


@pytest.fixture(autouse=True)
def nothing_changes(office: Office, patient: Patient) -> Iterator[None]:
    with office.unchanged():
        yield


def ask(channel: grpc.Channel, method: str = STATUS, request: bytes = b"") -> Failure:
    with channel:
        return failure_of(channel, method, request)


def ask_as(hub: HubProcess, issued: IssuedCertificate) -> Failure:
    """Ask for the status with a certificate, in the words of gRPC alone."""
    root = hub.pki.authority.certificate_path.read_bytes()
    credentials = grpc.ssl_channel_credentials(root, issued.key_pem, issued.certificate_pem)
    return ask(grpc.secure_channel(hub.target, credentials))


def test_without_a_certificate_nobody_gets_in(hub: HubProcess) -> None:
    root = hub.pki.authority.certificate_path.read_bytes()
    failed = ask(grpc.secure_channel(hub.target, grpc.ssl_channel_credentials(root)))
    assert (failed.code, failed.reason) == BARE


def test_a_certificate_of_another_authority_does_not_count(hub: HubProcess, tmp_path: Path) -> None:
    failed = ask_as(hub, CertificateAuthority.create(tmp_path / "foreign").issue_client(HOSPITAL))
    assert (failed.code, failed.reason) == BARE


def test_an_expired_certificate_does_not_count(hub: HubProcess) -> None:
    begin = datetime.now(UTC) - timedelta(days=2)
    failed = ask_as(hub, hub.pki.authority.issue_client(HOSPITAL, valid_for=timedelta(days=1), now=begin))
    assert (failed.code, failed.reason) == BARE


def test_plaintext_is_not_understood(hub: HubProcess) -> None:
    failed = ask(grpc.insecure_channel(hub.target))
    assert (failed.code, failed.reason) == BARE


def test_a_revoked_certificate_is_told_so(hub: HubProcess) -> None:
    issued = hub.pki.authority.issue_client(HOSPITAL)
    hub.pki.authority.revoke(issued.certificate.serial_number)
    failed = ask_as(hub, issued)
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_NOT_ACCEPTED")
    assert failed.metadata == {"problem": "the certificate is revoked"}


def test_a_certificate_revoked_while_its_connection_stands_is_refused_from_the_next_call_on(
    hub: HubProcess, pki: Pki
) -> None:
    issued = pki.authority.issue_client(HOSPITAL)
    with hub.channel(pki.files("revoked-later", issued)) as channel:
        status: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHODS[STATUS].path)
        answer = operations_pb2.OperationsStatusResponse.FromString(status(b"", timeout=CALL_TIMEOUT_S))
        assert answer.state == operations_pb2.OperationsStatusResponse.SERVING
        pki.authority.revoke(issued.certificate.serial_number)
        failed = failure_of(channel, STATUS, b"")
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_NOT_ACCEPTED")


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([], id="names_nobody"),
        pytest.param([uri(f"medsettle://{BEIJING_HOSPITAL}/")], id="has_no_role"),
        pytest.param([uri(f"medsettle://{BEIJING_HOSPITAL}/KING")], id="has_an_unknown_role"),
        pytest.param([uri("medsettle:///HOSPITAL")], id="has_no_institution"),
        pytest.param([uri(HOSPITAL.uri), uri(f"medsettle://{OPERATOR}/OPERATOR")], id="names_two_actors"),
        pytest.param([uri(f"https://{BEIJING_HOSPITAL}/HOSPITAL")], id="is_of_another_scheme"),
        pytest.param([x509.DNSName(HOSPITAL.uri)], id="writes_its_uri_as_a_dns_name"),
        pytest.param([uri(f"{HOSPITAL.uri}\0.another")], id="hides_the_end_of_its_uri_behind_a_nul"),
    ],
)
def test_a_certificate_that_names_no_actor_is_told_so_if_it(hub: HubProcess, names: Sequence[x509.GeneralName]) -> None:
    failed = ask_as(hub, hub.pki.client_with_names(names))
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_NOT_ACCEPTED")
    assert failed.metadata["problem"]


def test_health_and_reflection_need_a_certificate_too(hub: HubProcess) -> None:
    root = hub.pki.authority.certificate_path.read_bytes()
    with grpc.secure_channel(hub.target, grpc.ssl_channel_credentials(root)) as channel:
        for path in ("/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"):
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", timeout=CALL_TIMEOUT_S)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@contextmanager
def rejected(reason: str, **detail: str) -> Iterator[None]:
    with pytest.raises(Rejected) as refused:
        yield
    assert (refused.value.reason, dict(refused.value.detail)) == (reason, detail)


def test_a_role_that_does_not_have_the_method_is_refused(hub: HubProcess, patient: Patient) -> None:
    ward = Caller(BEIJING_HOSPITAL, "wrong-role-")
    credit = accounts_pb2.AccountsCreditRequest(
        header=ward.header(), person_id=patient.person_id, amount_fen=1, period_key="2026-02"
    )
    with hub.connect(BEIJING_HOSPITAL) as client:
        with rejected("ROLE_FORBIDDEN", method="Accounts.Credit"):
            client.accounts.credit(credit)
        with rejected("ROLE_FORBIDDEN", method="Operations.TrialBalance"):
            client.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())


def test_a_forbidden_command_inside_an_allowed_batch_is_refused_and_its_neighbours_are_answered(
    hub: HubProcess, patient: Patient
) -> None:
    ward = Caller(BEIJING_HOSPITAL, "batched-")
    batch = batch_pb2.BatchSubmitRequest()
    batch.commands.add().operations_status.SetInParent()
    batch.commands.add().accounts_credit.CopyFrom(
        accounts_pb2.AccountsCreditRequest(
            header=ward.header(), person_id=patient.person_id, amount_fen=1, period_key="2026-02"
        )
    )
    batch.commands.add().operations_trial_balance.SetInParent()
    batch.commands.add().operations_status.SetInParent()
    with hub.connect(BEIJING_HOSPITAL) as client:
        results = client.submit(batch).results
    kinds = [result.WhichOneof("result") for result in results]
    assert kinds == ["operations_status", "refusal", "refusal", "operations_status"]
    forbidden = CATALOG["ROLE_FORBIDDEN"].number
    assert [result.refusal.reason for result in results[1:3]] == [forbidden, forbidden]
    assert results[1].refusal.metadata == {"method": "Accounts.Credit"}


def test_an_institution_acts_only_for_itself(hub: HubProcess, patient: Patient) -> None:
    other = Ward(OTHER_HOSPITAL, "borrowed-")
    admission = other.admission(patient.card_at_admission(), days_ago(3))
    with hub.connect(BEIJING_HOSPITAL) as client:
        with rejected("NOT_YOUR_INSTITUTION", institution_code=OTHER_HOSPITAL):
            client.inpatient.admit(admission)
        batch = batch_pb2.BatchSubmitRequest()
        batch.commands.add().inpatient_admit.CopyFrom(admission)
        (result,) = client.submit(batch).results
        assert result.refusal.reason == CATALOG["NOT_YOUR_INSTITUTION"].number
        with rejected("NOT_YOUR_INSTITUTION", institution_code=OTHER_HOSPITAL):
            client.inpatient.list_settlements(
                inpatient_pb2.InpatientListSettlementsRequest(
                    day=days_ago(0).isoformat(), institution_code=OTHER_HOSPITAL
                )
            )
        with pytest.raises(Rejected, match="NOT_YOUR_INSTITUTION"):
            client.inpatient.list_stays(inpatient_pb2.InpatientListStaysRequest(institution_code=OTHER_HOSPITAL))


def test_a_hospital_does_not_read_a_person_who_is_not_with_it(hub: HubProcess, patient: Patient) -> None:
    with hub.connect(BEIJING_HOSPITAL) as client, rejected("ROLE_FORBIDDEN", method="Persons.Get"):
        client.persons.get(persons_pb2.PersonsGetRequest(person_id=patient.person_id))
