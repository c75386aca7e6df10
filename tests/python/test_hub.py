"""The engine inside the own process: its answers to threads and event loops, closing, fork, signals, the directory."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import AsyncHub, CorruptJournal, DirectoryLocked, EngineSettings, Hub, HubUnusable, Rejected, journal
from medsettle.v1 import batch_pb2, common_pb2, operations_pb2, packages_pb2, persons_pb2

SMALL = EngineSettings(segment_bytes=1 << 20)
EMPTY_COMMIT = 0
OPERATOR = "OPER00000001"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def hub(data: Path) -> Iterator[Hub]:
    with Hub.open(data, settings=SMALL) as opened:
        yield opened


def status(hub: Hub) -> operations_pb2.OperationsStatusResponse:
    return hub.acting(["OPERATOR"], OPERATOR).operations.status(operations_pb2.OperationsStatusRequest())


def header(request_id: str) -> common_pb2.RequestHeader:
    now_ms = time.time_ns() // 1_000_000
    return common_pb2.RequestHeader(
        request_id=request_id, created_ms=now_ms, institution_code=OPERATOR, operator="test"
    )


def last_frame(data: Path) -> int:
    return max((int(str(frame["number"])) for frame in journal.inspect(data)), default=0)


def test_a_hub_serves_and_tells_its_state(hub: Hub) -> None:
    assert status(hub).state == operations_pb2.OperationsStatusResponse.SERVING
    assert hub.state == "SERVING"
    assert hub.halt_reason == ""
    assert hub.metrics()["answered"] >= 1


def test_rights_are_checked_in_an_embedded_hub_as_over_the_network(hub: Hub) -> None:
    with pytest.raises(Rejected) as refusal:
        hub.acting(["HOSPITAL"], OPERATOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
    assert refusal.value.reason == "ROLE_FORBIDDEN"


def test_one_bad_command_of_a_batch_spoils_only_itself(hub: Hub) -> None:
    request = batch_pb2.BatchSubmitRequest()
    request.commands.add().operations_status.SetInParent()
    request.commands.add().persons_get.CopyFrom(persons_pb2.PersonsGetRequest(person_id=4_711))
    request.commands.add().operations_status.SetInParent()
    results = hub.acting(["OPERATOR"], OPERATOR).submit(request).results
    assert [result.WhichOneof("result") for result in results] == ["operations_status", "refusal", "operations_status"]


def test_threads_wait_for_their_own_answers(hub: Hub) -> None:
    sequences: list[int] = []

    def ask() -> None:
        for _ in range(50):
            sequences.append(status(hub).header.sequence)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sequences) == 400


def test_a_closed_hub_says_so_and_may_be_closed_again(data: Path) -> None:
    hub = Hub.open(data, settings=SMALL)
    desk = hub.acting(["OPERATOR"], OPERATOR)
    hub.close()
    hub.close()
    with pytest.raises(HubUnusable, match="closed"):
        desk.operations.status(operations_pb2.OperationsStatusRequest())


def test_a_directory_has_one_hub_at_a_time(hub: Hub, data: Path) -> None:
    with pytest.raises(DirectoryLocked, match=r"in use by process \d+"):
        Hub.open(data, settings=SMALL)
    hub.close()
    Hub.open(data, settings=SMALL).close()


def test_a_directory_keeps_its_hub_number(data: Path) -> None:
    Hub.open(data, settings=SMALL).close()
    with pytest.raises(ValueError, match="belongs to hub 1, not to hub 2"):
        Hub.open(data, settings=EngineSettings(hub_number=2, segment_bytes=1 << 20))


def test_damage_is_found_and_named_and_a_damaged_directory_stays_closed(data: Path) -> None:
    async def commit() -> None:
        async with await AsyncHub.open(data, settings=SMALL) as hub:
            for _ in range(3):
                ok, _ = await hub.port().send(EMPTY_COMMIT, 0, OPERATOR, b"")
                assert ok

    asyncio.run(commit())
    frames = list(journal.inspect(data, from_frame=2, limit=2))
    assert [frame["number"] for frame in frames] == [2, 3]
    assert journal.verify(data).findings == []

    segment = next(path for path in sorted(data.iterdir()) if path.stat().st_size == SMALL.segment_bytes)
    with segment.open("r+b") as file:
        file.seek(4_096 + 100)
        file.write(b"\xff")
    (finding, *_) = journal.verify(data).findings
    assert finding["path"] == str(segment)
    assert "frame 1" in str(finding["problem"])
    with pytest.raises(CorruptJournal, match="medsettle verify"):
        Hub.open(data, settings=SMALL)


def test_verify_tells_its_progress_and_passes_on_what_the_callback_raises(hub: Hub, data: Path) -> None:
    hub.close()
    seen: list[tuple[int, int]] = []
    journal.verify(data, lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.verify(data, stop)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        journal.verify(tmp_path / "nowhere")
    with pytest.raises(OSError, match="holds no journal"):
        list(journal.inspect(tmp_path))


def test_an_event_loop_gets_every_answer_and_commits_of_one_moment_share_frames(data: Path) -> None:
    async def commit() -> None:
        async with await AsyncHub.open(data, settings=SMALL) as hub:
            port = hub.port()
            answers = await asyncio.gather(*(port.send(EMPTY_COMMIT, 0, OPERATOR, b"") for _ in range(1_000)))
            assert [ok for ok, _ in answers] == [True] * 1_000

    asyncio.run(commit())
    assert 1 <= last_frame(data) < 500


def test_a_cancelled_call_commits_and_disturbs_nobody(data: Path) -> None:
    async def commit() -> None:
        async with await AsyncHub.open(data, settings=SMALL) as hub:
            port = hub.port()
            abandoned, awaited = (port.send(EMPTY_COMMIT, 0, OPERATOR, b"") for _ in range(2))
            abandoned.cancel()
            assert (await awaited)[0]

    asyncio.run(commit())
    assert last_frame(data) >= 1


def test_every_event_loop_has_its_own_port(data: Path) -> None:
    hub = asyncio.run(AsyncHub.open(data, settings=SMALL))

    async def serving() -> str:
        desk = hub.acting(["OPERATOR"], OPERATOR)
        response = await desk.operations.status(operations_pb2.OperationsStatusRequest())
        return operations_pb2.OperationsStatusResponse.State.Name(response.state)

    states = [asyncio.run(serving()) for _ in range(3)]
    asyncio.run(hub.close())
    assert states == ["SERVING"] * 3


def run(script: str, *arguments: object) -> str:
    """Run a script in a process of its own, for what a test runner should not do to itself."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


AFTER_FORK = """
import os, sys
from medsettle import EngineSettings, Hub, HubUnusable

settings = EngineSettings(segment_bytes=1 << 20)
hub = Hub.open(sys.argv[1], settings=settings)
told, tell = os.pipe()
hold, release = os.pipe()
if os.fork() == 0:
    os.close(release)
    try:
        hub.state
    except HubUnusable as error:
        os.write(tell, str(error).encode())
    os.close(tell)
    os.read(hold, 1)
    del hub
    os._exit(0)
os.close(tell)
print(os.read(told, 1_000).decode())
hub.close()
# The child still lives, and does not hold the directory.
Hub.open(sys.argv[1], settings=settings).close()
os.close(release)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_after_a_fork_the_child_is_told_and_does_not_hold_the_directory(data: Path) -> None:
    told, exit_code = run(AFTER_FORK, data).splitlines()
    assert "before a fork" in told
    assert exit_code == "0"


AT_EXIT = """
import sys
from medsettle import EngineSettings, Hub
hub = Hub.open(sys.argv[1], settings=EngineSettings(segment_bytes=1 << 20))
print(hub.state)
"""


def test_a_program_that_forgets_to_close_ends_all_the_same(data: Path) -> None:
    assert run(AT_EXIT, data) == "SERVING\n"
    assert journal.verify(data).findings == []


SIGNALLED = """
import signal, sys
from medsettle import EngineSettings, Hub
from medsettle.v1 import operations_pb2

signals = 0
calling = False
def count(*_):
    global signals
    signals += 1
    if calling and signals % 50 == 0:
        raise KeyboardInterrupt

with Hub.open(sys.argv[1], settings=EngineSettings(segment_bytes=1 << 20)) as hub:
    native = hub._engine.native
    signal.signal(signal.SIGALRM, count)
    answered = interrupted = 0
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    while interrupted < 4:
        try:
            calling = True
            ok, _ = native.call(0, 0, "OPER00000001", b"")
            calling = False
            assert ok
            answered += 1
        except KeyboardInterrupt:
            calling = False
            interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    desk = hub.acting(["OPERATOR"], "OPER00000001")
    assert desk.operations.status(operations_pb2.OperationsStatusRequest()).state == 1
print(interrupted)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_signals_interrupt_a_waiting_call_only_when_their_handler_raises(data: Path) -> None:
    assert run(SIGNALLED, data) == "4\n"


def test_the_journal_is_taken_in_many_messages_each_frame_once_and_as_it_stands_on_disk(hub: Hub, data: Path) -> None:
    operator = hub.acting(["OPERATOR"], OPERATOR)
    items = [
        packages_pb2.CatalogueItem(code=f"ITEM-{number:06}", name=f"An item with the number {number}")
        for number in range(14_000)
    ]
    for item in items:
        setattr(item, "class", packages_pb2.CatalogueItem.A)
    operator.packages.install_regions(
        packages_pb2.PackagesInstallRegionsRequest(
            header=header("regions"), regions=[packages_pb2.Region(code="370100", name="Jinan", home=True)]
        )
    )
    for year in (2020, 2021, 2022, 2023):
        operator.packages.install_catalogue(
            packages_pb2.PackagesInstallCatalogueRequest(
                header=header(f"catalogue-{year}"),
                catalogue=packages_pb2.Catalogue(region="370100", effective_from=f"{year}-01-01", items=items),
            )
        )
    pages = list(operator.operations.take_journal(operations_pb2.OperationsTakeJournalRequest()))
    assert len(pages) > 2
    taken = {frame.frame_number: frame.content for page in pages for frame in page.frames}
    assert list(taken) == list(range(1, pages[-1].durable_frame_number + 1))
    frames = {frame["number"]: frame for frame in journal.inspect(data)}
    for number, content in taken.items():
        assert content[:8] == b"MEDFRAME"
        assert content[112:144] == frames[number]["hash"]
        records = frames[number]["records"]
        assert isinstance(records, list)
        assert all(record in content for record in records)
    middle = operations_pb2.OperationsTakeJournalRequest(from_frame_number=pages[1].frames[0].frame_number)
    assert list(operator.operations.take_journal(middle)) == pages[1:]
    beyond = operations_pb2.OperationsTakeJournalRequest(from_frame_number=10_000)
    (nothing,) = operator.operations.take_journal(beyond)
    assert (len(nothing.frames), nothing.durable_frame_number) == (0, pages[-1].durable_frame_number)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *[
            ("snapshot_segments", -1),
            ("snapshot_segments", True),
            ("archive", ""),
            ("archive", 7),
            ("segment_bytes", 0),
        ],
        *[("cores", 1), ("cores", "0"), ("cores", [-1]), ("cores", [True]), ("cores", range(2))],
    ],
)
def test_a_setting_that_cannot_be_is_named(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be"):
        EngineSettings(**{setting: value})  # type: ignore[arg-type]
    assert EngineSettings(snapshot_segments=0).snapshot_segments == 0, "none but those that are asked for"


def test_threads_are_bound_to_cores_that_there_are_and_nothing_is_made_for_others(tmp_path: Path) -> None:
    own = min(os.sched_getaffinity(0))
    missing = max(os.sched_getaffinity(0)) + 1
    with pytest.raises(ValueError, match=f"cores: {missing}: "):
        Hub.open(tmp_path / "none", settings=EngineSettings(cores=[own, missing]))
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="at most 4"):
        Hub.open(tmp_path / "none", settings=EngineSettings(cores=[own] * 5))
    with Hub.open(tmp_path / "data", settings=EngineSettings(segment_bytes=1 << 20, cores=[own])) as hub:
        # What is answered went through the thread, which was bound before.
        hub.acting(["OPERATOR"], "OPERATOR0001").operations.status(operations_pb2.OperationsStatusRequest())
        tasks = Path("/proc/self/task").iterdir()
        threads = [task.name for task in tasks if "medsettle-prep" in (task / "comm").read_text()]
        assert [os.sched_getaffinity(int(thread)) for thread in threads] == [{own}]
