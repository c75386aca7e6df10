"""Batch streams of a real hub: every size, a thousand streams, callers that never read, and deaths on either side."""

import asyncio
import itertools
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest

from medsettle.client import Client
from medsettle.errors import NoAnswer, Rejected, Unavailable
from medsettle.v1 import accounts_pb2, batch_pb2, messages_pb2, operations_pb2
from medsettle.v1.facade import METHODS
from trial_report import Figures
from trial_site import HubProcess, Office, Pki, once_answered
from trial_world import BEIJING_HOSPITAL, OPERATOR, OTHER_HOSPITAL, Patient

STREAM = METHODS["Batch.Stream"].path
STATUS = batch_pb2.Command(operations_status=operations_pb2.OperationsStatusRequest())
OUTCOME = messages_pb2.MessagesGetOutcomeResponse
PATIENCE_S = 90
PER_INSTITUTION = 256
PER_CONNECTION = 128
Message = batch_pb2.BatchStreamRequest
Answer = batch_pb2.BatchStreamResponse
Call = grpc.aio.StreamStreamCall[bytes, bytes]


def statuses(count: int) -> Message:
    return Message(commands=[STATUS] * count)


@pytest.fixture
def ward(hub: HubProcess, office: Office) -> Iterator[Client]:
    with once_answered(hub.connect(BEIJING_HOSPITAL)) as client:
        yield client


def test_a_message_may_hold_nothing_and_up_to_ten_thousand_commands(ward: Client) -> None:
    sizes = (0, 1, 10_000, 0, 3)
    answers = ward.batch.stream(map(statuses, sizes), timeout=PATIENCE_S)
    assert [len(answer.results) for answer in answers] == list(sizes)


@pytest.mark.parametrize(
    ("message", "reason", "detail"),
    [
        (statuses(10_001), "REQUEST_TOO_LARGE", {"limit": "10000", "size": "10001"}),
        (
            Message.FromString(b"\x7a\x01x"),
            "REQUEST_MALFORMED",
            {"field": "", "problem": "has no field with number 15"},
        ),
    ],
    ids=["one_command_too_many", "malformed"],
)
def test_a_message_that_is_refused_is_refused_as_by_submit_behind_the_answers_before_it(
    ward: Client, office: Office, message: Message, reason: str, detail: dict[str, str]
) -> None:
    with pytest.raises(Rejected) as alone:
        ward.submit(batch_pb2.BatchSubmitRequest.FromString(message.SerializeToString()))
    answers: list[Answer] = []
    with office.unchanged(), pytest.raises(Rejected) as refused:
        for answer in ward.batch.stream([statuses(2), message, statuses(1)], timeout=PATIENCE_S):
            answers.append(answer)
    assert [len(answer.results) for answer in answers] == [2]
    assert (refused.value.reason, refused.value.detail) == (alone.value.reason, alone.value.detail)
    assert refused.value.reason == reason
    assert refused.value.detail.keys() == detail.keys()


def test_a_message_of_65_megabytes_ends_its_stream_and_leaves_no_memory(hub: HubProcess, ward: Client) -> None:
    before_kib = resident_kib(hub)
    long = Message()
    long.commands.add().persons_get.person_id = 1
    long.commands[0].cards_mark_made.card_sn = "0" * (65 << 20)
    for _ in range(3):
        with pytest.raises(NoAnswer, match="RESOURCE_EXHAUSTED"):
            list(ward.batch.stream([long], timeout=PATIENCE_S))
    assert [len(answer.results) for answer in ward.batch.stream([statuses(1)])] == [1]
    assert resident_kib(hub) - before_kib < 32 << 10


def resident_kib(hub: HubProcess) -> int:
    """Read what the hub's process holds in memory."""
    rows = Path(f"/proc/{hub.pid}/status").read_text().splitlines()
    return int(next(row.split()[1] for row in rows if row.startswith("VmRSS:")))


def line(hub: HubProcess, institution: str) -> grpc.aio.Channel:
    """Open a connection of its own."""
    tls = hub.pki.client(institution)
    ca, key, cert = (Path(path).read_bytes() for path in (tls.ca, tls.key, tls.cert))
    credentials = grpc.ssl_channel_credentials(ca, key, cert)
    return grpc.aio.secure_channel(hub.target, credentials, options=(("grpc.use_local_subchannel_pool", 1),))


def begin(channel: grpc.aio.Channel) -> Call:
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM)
    return method(timeout=PATIENCE_S)


async def ask(stream: Call, message: bytes) -> bytes:
    await stream.write(message)
    return await anext(aiter(stream))


def test_two_hundred_streams_that_never_read_hold_little_and_delay_no_other(
    hub: HubProcess, office: Office, figures: Figures
) -> None:
    slow, messages, commands, fast = 200, 200, 50, 100
    question = statuses(commands).SerializeToString()

    async def flood(stream: Call, written: list[int]) -> None:
        for number in range(messages):
            await stream.write(question)
            written.append(number)

    async def main() -> int:
        lines = [line(hub, BEIJING_HOSPITAL) for _ in range(2)]
        other = line(hub, OTHER_HOSPITAL)
        beside = begin(other)
        answer_bytes = len(await ask(beside, question))
        before_kib = resident_kib(hub)
        written: list[int] = []
        streams = [begin(lines[number % 2]) for number in range(slow)]
        floods = [asyncio.create_task(flood(stream, written)) for stream in streams]
        for _ in range(fast):
            assert len(Answer.FromString(await ask(beside, question)).results) == commands
        # Until nothing more is taken of the slow ones.
        seen = -1
        while seen != len(written):
            seen = len(written)
            await asyncio.sleep(1)
        grown_kib = resident_kib(hub) - before_kib
        unbounded_kib = slow * messages * answer_bytes >> 10
        assert grown_kib < unbounded_kib // 4, f"{grown_kib} KiB for {len(written)} messages of {slow} streams"
        assert Answer.FromString(await ask(beside, question)).results
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
        for channel in (*lines, other):
            await channel.close()
        return grown_kib

    grown_kib = asyncio.run(main())
    figures(f"{slow} batch streams that never read: the hub grew by {grown_kib >> 10} MiB; {fast} messages beside them")


def test_a_thousand_streams_get_a_place_or_are_told_that_there_is_none(hub: HubProcess, office: Office) -> None:
    question = statuses(1).SerializeToString()

    async def first(stream: Call) -> str:
        try:
            await anext(aiter(stream))
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name} {(error.details() or '').partition(':')[0]}"
        return "served"

    async def main() -> None:
        lines = [line(hub, BEIJING_HOSPITAL) for _ in range(1_000 // PER_CONNECTION + 1)]
        streams = [begin(lines[number % len(lines)]) for number in range(1_000)]
        answers = [asyncio.create_task(first(stream)) for stream in streams]
        async with asyncio.timeout(PATIENCE_S):
            while sum(answer.done() for answer in answers) < 1_000 - PER_INSTITUTION:
                await asyncio.sleep(0.05)
        # Nothing is written before it is known who has a place: gRPC hides a refusal from who writes as it comes.
        for stream, answer in zip(streams, answers, strict=True):
            if not answer.done():
                await stream.write(question)
        outcomes = Counter(await asyncio.gather(*answers))
        assert outcomes == {"served": PER_INSTITUTION, "RESOURCE_EXHAUSTED OVERLOADED": 1_000 - PER_INSTITUTION}
        other = line(hub, OTHER_HOSPITAL)
        assert await ask(begin(other), question)
        status: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = lines[0].unary_unary(METHODS["Operations.Status"].path)
        assert await status(b"", timeout=PATIENCE_S)
        for channel in (*lines, other):
            await channel.close()

    asyncio.run(main())
    # The places are given back.
    with once_answered(hub.connect(BEIJING_HOSPITAL)) as client:
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                assert len(list(client.batch.stream([statuses(1)]))) == 1
            except Unavailable:
                assert time.monotonic() < until_s
            else:
                break


def credits(office: Office, patient: Patient, name: str, messages: int, size: int) -> list[Message]:
    made = (office.agency.credit_request(patient, 1, f"{name}-{number}") for number in itertools.count())
    return [
        Message(commands=[batch_pb2.Command(accounts_credit=next(made)) for _ in range(size)]) for _ in range(messages)
    ]


def balance_fen(client: Client, patient: Patient) -> int:
    accounts = client.accounts.get(accounts_pb2.AccountsGetRequest(person_id=patient.person_id)).accounts
    return sum(account.balance_fen for account in accounts)


def repeated(client: Client, messages: Sequence[Message]) -> list[Answer]:
    return list(client.batch.stream(messages, timeout=PATIENCE_S))


def check_the_same(first: Sequence[Answer], again: Sequence[Answer]) -> None:
    """See that the first answers were given again."""
    for one, other in zip(first, again, strict=False):
        for before, after in zip(one.results, other.results, strict=True):
            assert after.accounts_credit.header.replayed
            after.accounts_credit.header.replayed = before.accounts_credit.header.replayed
            assert after == before


def test_after_a_sigkill_amid_a_stream_the_same_messages_give_the_first_answers_and_everything_is_there_once(
    tmp_path: Path, pki: Pki
) -> None:
    size, most, kill_behind = 20, 400, 25
    with HubProcess(tmp_path, pki) as hub, Office(hub) as office:
        patient = office.agency.insure()
        messages = credits(office, patient, "killed", most, size)
        answers: list[Answer] = []
        with once_answered(hub.connect(OPERATOR)) as client:
            with pytest.raises(NoAnswer):
                for answer in client.batch.stream(messages, timeout=PATIENCE_S):
                    answers.append(answer)
                    if len(answers) == kill_behind:
                        hub.kill()
            assert kill_behind <= len(answers) < most
        hub.start()
        with once_answered(hub.connect(OPERATOR)) as client:
            kept_fen = balance_fen(client, patient)
            assert kept_fen >= size * len(answers), "something acknowledged is gone"
            again = repeated(client, messages)
            check_the_same(answers, again)
            assert all(result.HasField("accounts_credit") for answer in again for result in answer.results)
            assert balance_fen(client, patient) == size * most
            check_the_same(again, repeated(client, messages))


DYING = """
import sys
from medsettle.client import connect
from medsettle.config import TlsFiles
from medsettle.v1 import batch_pb2
target, ca, cert, key, path = sys.argv[1:]
messages = batch_pb2.BatchStreamRequest.FromString
lengths, body = open(path + ".lengths").read().split(), open(path, "rb").read()
cut, place = [], 0
for length in map(int, lengths):
    cut.append(messages(body[place : place + length]))
    place += length
with connect(target, tls=TlsFiles(ca=ca, cert=cert, key=key)) as client:
    for answer in client.batch.stream(cut):
        print("answered", flush=True)
"""


def test_what_a_caller_that_was_killed_had_sent_is_decided_whole_or_not_at_all(
    hub: HubProcess, office: Office, tmp_path: Path
) -> None:
    size, most = 50, 400
    patient = office.agency.insure()
    messages = credits(office, patient, "dying", most, size)
    encoded = [message.SerializeToString() for message in messages]
    (tmp_path / "sent").write_bytes(b"".join(encoded))
    (tmp_path / "sent.lengths").write_text(" ".join(str(len(one)) for one in encoded))
    tls = hub.pki.client(OPERATOR)
    arguments = [hub.target, *map(str, (tls.ca, tls.cert, tls.key)), str(tmp_path / "sent")]
    caller = subprocess.Popen([sys.executable, "-c", DYING, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert caller.stdout is not None
        for _ in range(5):
            assert caller.stdout.readline() == "answered\n"
    finally:
        caller.kill()
        caller.communicate()
    with once_answered(hub.connect(OPERATOR)) as client:
        again = repeated(client, messages)
        # A message is in one frame, so that of each all or none was decided before.
        known = [{result.accounts_credit.header.replayed for result in answer.results} for answer in again]
        assert known[:5] == [{True}] * 5
        assert all(len(each) == 1 for each in known), "part of a message was decided"
        assert balance_fen(client, patient) == size * most


def test_a_hub_that_is_stopped_answers_what_it_took_and_ends_its_streams(tmp_path: Path, pki: Pki) -> None:
    with HubProcess(tmp_path, pki) as hub, Office(hub) as office:
        patient = office.agency.insure()
        messages = credits(office, patient, "stopped", 300, 20)
        answers: list[Answer] = []
        with once_answered(hub.connect(OPERATOR)) as client:
            with pytest.raises(NoAnswer) as ended:
                for answer in client.batch.stream(messages, timeout=PATIENCE_S):
                    answers.append(answer)
                    if len(answers) == 10:
                        hub.ask_to_stop()
            assert "The hub is stopping" in str(ended.value)
        assert hub.ended() == 0
        hub.start()
        with once_answered(hub.connect(OPERATOR)) as client:
            assert balance_fen(client, patient) == 20 * len(answers), "something was decided and not answered"
            check_the_same(answers, repeated(client, messages))
