"""When no answer comes: deadlines, cancelled calls, restarts and stops never make an answer wrong, only late."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from medsettle.client import Client, Retries
from medsettle.demo.relay import LossyRelay
from medsettle.errors import NoAnswer, Unavailable
from medsettle.v1 import accounts_pb2, batch_pb2, messages_pb2
from medsettle.v1.facade import METHODS
from trial_site import CALL_TIMEOUT_S, HubProcess, Office, Pki
from trial_world import BEIJING_HOSPITAL, OPERATOR, Patient

OUTCOME = messages_pb2.MessagesGetOutcomeResponse
SEED = 7
PATIENCE_S = 0.3
"""A deadline that passes: the one thing here that takes real time."""
PERSISTENT = Retries(attempts=1_000, first_pause_s=0.01, longest_pause_s=0.1)


@pytest.fixture(scope="module")
def patient(office: Office) -> Patient:
    return office.agency.insure()


@pytest.fixture
def client(hub: HubProcess) -> Iterator[Client]:
    with hub.connect(OPERATOR) as connected:
        yield connected


def outcome_of(client: Client, request: accounts_pb2.AccountsCreditRequest) -> OUTCOME:
    return client.messages.get_outcome(messages_pb2.MessagesGetOutcomeRequest(request_id=request.header.request_id))


def balance_fen(client: Client, patient: Patient) -> int:
    accounts = client.accounts.get(accounts_pb2.AccountsGetRequest(person_id=patient.person_id)).accounts
    return sum(account.balance_fen for account in accounts)


def await_that(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; there is no event to wait for."""
    until_s = time.monotonic() + CALL_TIMEOUT_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.002)


def test_a_reply_that_is_lost_is_found_under_its_request_id(
    hub: HubProcess, office: Office, patient: Patient, client: Client
) -> None:
    request = office.agency.credit_request(patient, 100, "lost-reply")
    with LossyRelay(hub.target) as relay, hub.channel(hub.pki.client(OPERATOR), relay.target) as channel:
        grpc.channel_ready_future(channel).result(CALL_TIMEOUT_S)
        relay.lose_replies()
        credit: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHODS["Accounts.Credit"].path)
        with pytest.raises(grpc.RpcError) as late:
            credit(request.SerializeToString(), timeout=PATIENCE_S)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await_that(lambda: outcome_of(client, request).outcome == OUTCOME.ACCEPTED)
    found = outcome_of(client, request)
    again = client.accounts.credit(request)
    assert again.header.replayed
    assert accounts_pb2.AccountsCreditResponse.FromString(found.original_response) == again
    assert found.original_sequence == again.header.sequence


def test_a_hub_that_hangs_beyond_the_deadline_gives_the_answer_when_it_is_asked_again(
    hub: HubProcess, office: Office, patient: Patient, client: Client
) -> None:
    before_fen = balance_fen(client, patient)
    request = office.agency.credit_request(patient, 50, "hanging")
    with hub.frozen(), pytest.raises(NoAnswer) as late:
        client.accounts.credit(request, timeout=PATIENCE_S)
    assert late.value.status == "DEADLINE_EXCEEDED"
    known = outcome_of(client, request).outcome
    answer = client.accounts.credit(request)
    assert answer.header.replayed == (known == OUTCOME.ACCEPTED)
    assert client.accounts.credit(request).header.sequence == answer.header.sequence
    assert balance_fen(client, patient) == before_fen + 50


def test_calls_cancelled_at_any_moment_are_decided_once_or_not_at_all(
    hub: HubProcess, office: Office, patient: Patient, client: Client
) -> None:
    rng, before_fen = random.Random(SEED), balance_fen(client, patient)
    calls, credits_of_call = 40, 100
    requests = [
        [office.agency.credit_request(patient, 1, f"cancelled-{call}.{number}") for number in range(credits_of_call)]
        for call in range(calls)
    ]
    cancelled: list[accounts_pb2.AccountsCreditRequest] = []
    with hub.channel(hub.pki.client(OPERATOR)) as channel:
        submit: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHODS["Batch.Submit"].path)
        # The first call shows how long one takes, so that the others end in every phase of theirs.
        begin_s = time.monotonic()
        submit(_batch(requests[0]), timeout=CALL_TIMEOUT_S)
        took_s = time.monotonic() - begin_s
        for credits in requests[1:]:
            call = submit.future(_batch(credits), timeout=CALL_TIMEOUT_S)
            time.sleep(took_s * rng.random())
            if call.cancel():
                cancelled += credits
    assert cancelled
    known = [outcome_of(client, request).outcome for request in cancelled]
    assert set(known) <= {OUTCOME.ACCEPTED, OUTCOME.UNKNOWN}
    assert OUTCOME.ACCEPTED in known, "no cancelled call was carried out"
    for credits in requests:
        client.submit(batch_pb2.BatchSubmitRequest.FromString(_batch(credits)))
    assert balance_fen(client, patient) == before_fen + calls * credits_of_call


def _batch(requests: list[accounts_pb2.AccountsCreditRequest]) -> bytes:
    commands = [batch_pb2.Command(accounts_credit=request) for request in requests]
    return batch_pb2.BatchSubmitRequest(commands=commands).SerializeToString()


def reflected(
    channel: grpc.Channel, request: reflection_pb2.ServerReflectionRequest
) -> reflection_pb2.ServerReflectionResponse:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    ask: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
    (answer,) = ask(iter([request.SerializeToString()]), timeout=CALL_TIMEOUT_S)
    return reflection_pb2.ServerReflectionResponse.FromString(answer)


def test_health_and_reflection_tell_what_is_served(hub: HubProcess, client: Client) -> None:
    with hub.channel(hub.pki.client(BEIJING_HOSPITAL)) as channel:
        watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/grpc.health.v1.Health/Watch")
        for service in ("", "medsettle.v1.Inpatient"):
            asked = health_pb2.HealthCheckRequest(service=service).SerializeToString()
            states = map(health_pb2.HealthCheckResponse.FromString, watch(asked, timeout=CALL_TIMEOUT_S))
            assert any(state.status == health_pb2.HealthCheckResponse.SERVING for state in states)
        listed = reflected(channel, reflection_pb2.ServerReflectionRequest(list_services=""))
        names = {service.name for service in listed.list_services_response.service}
        wanted = reflection_pb2.ServerReflectionRequest(file_containing_symbol="medsettle.v1.Inpatient")
        described = reflected(channel, wanted)
    assert names >= {path.split("/")[1] for path in (method.path for method in METHODS.values())}
    assert names >= {"grpc.health.v1.Health"}
    assert described.file_descriptor_response.file_descriptor_proto


@pytest.fixture
def own_hub(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("own"), pki) as running:
        yield running


@pytest.mark.parametrize("end", [HubProcess.kill, HubProcess.terminate], ids=["sigkill", "sigterm"])
def test_clients_ride_out_an_end_and_a_restart_with_the_same_requests(
    own_hub: HubProcess, end: Callable[[HubProcess], object]
) -> None:
    hub, clerks, calls = own_hub, 8, 100
    with Office(hub) as office, hub.connect(OPERATOR, PERSISTENT) as client, ThreadPoolExecutor(clerks) as pool:
        patient = office.agency.insure()
        begun = threading.Event()

        def credit_all(requests: list[accounts_pb2.AccountsCreditRequest]) -> list[int]:
            sequences = []
            for request in requests:
                sequences.append(client.accounts.credit(request).header.sequence)
                begun.set()
            return sequences

        requests = [
            [office.agency.credit_request(patient, 1, f"{clerk}.{number}") for number in range(calls)]
            for clerk in range(clerks)
        ]
        working = [pool.submit(credit_all, own) for own in requests]
        assert begun.wait(CALL_TIMEOUT_S)
        end(hub)
        hub.start()
        sequences = {sequence for one in working for sequence in one.result(CALL_TIMEOUT_S)}
        assert len(sequences) == clerks * calls
        assert balance_fen(client, patient) == clerks * calls


def test_a_stop_answers_the_calls_in_flight_and_loses_nothing(own_hub: HubProcess) -> None:
    hub = own_hub
    with Office(hub) as office:
        patient = office.agency.insure()
        batches = [
            [office.agency.credit_request(patient, 1, f"{call}.{number}") for number in range(500)] for call in range(8)
        ]
    answered: list[accounts_pb2.AccountsCreditRequest] = []

    def send(credits: list[accounts_pb2.AccountsCreditRequest], client: Client) -> None:
        for start in range(0, len(credits), 10):
            part = credits[start : start + 10]
            try:
                results = client.submit(batch_pb2.BatchSubmitRequest.FromString(_batch(part))).results
            except (NoAnswer, Unavailable):
                return
            assert all(result.HasField("accounts_credit") for result in results)
            answered.extend(part)
            begun.set()

    begun = threading.Event()
    with hub.connect(OPERATOR) as client, ThreadPoolExecutor(len(batches)) as pool:
        sending = [pool.submit(send, credits, client) for credits in batches]
        assert begun.wait(CALL_TIMEOUT_S)
        assert hub.terminate() == 0
        for one in sending:
            one.result(CALL_TIMEOUT_S)
    hub.start()
    with hub.connect(OPERATOR) as client:
        # What was not answered was turned away before it did anything.
        assert balance_fen(client, patient) == len(answered)
        for request in answered:
            assert outcome_of(client, request).outcome == OUTCOME.ACCEPTED
