"""The load tester counts as the hub does, measures from when a call was meant to be made, and shows what it found."""

import asyncio
import itertools
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format

from bench_scenes import ASKING, MS, Silent, Stalling, TurnedClock, in_journal, run_bench, status_tasks
from medsettle.auth.actor import Actor
from medsettle.bench import payloads, work
from medsettle.bench.books import Books, Journal
from medsettle.bench.drive import Driver
from medsettle.bench.measure import PERCENTILES, Cpu, Latencies, Recorder
from medsettle.bench.page import page
from medsettle.bench.place import Place
from medsettle.bench.plan import COUNTRY_PER_SECOND, CallKind, Plan, Workload, WrongPlan
from medsettle.bench.report import rows, to_json
from medsettle.bench.town import Person, Town
from medsettle.bench.transport import Answer, Command, Composer, Embedded, Reply, failed_reply
from medsettle.bench.trial import Actors
from medsettle.bench.work import Work
from medsettle.errors import NoAnswer
from medsettle.softcard import Scheme, SoftCard
from medsettle.v1 import batch_pb2, common_pb2, operations_pb2, visits_pb2
from medsettle.v1.facade import METHODS
from scripted_hub import ScriptedHub

SMALL = Plan(callers=4, batch_size=7, count=60, warm_up=11, runs=2, persons=80)
MODES = {
    "visit, unary, closed": SMALL,
    "visit, unary, open": replace(SMALL, rate=2_000.0),
    "visit, batch, closed": replace(SMALL, call=CallKind.BATCH),
    "visit, batch, open": replace(SMALL, call=CallKind.BATCH, rate=5_000.0),
    "stay, unary, closed": replace(SMALL, workload=Workload.STAY, count=12, warm_up=3),
    "stay, batch, closed": replace(SMALL, workload=Workload.STAY, call=CallKind.BATCH, count=20),
    "mixed, unary, closed": replace(SMALL, workload=Workload.MIXED, count=150),
    "mixed, unary, open": replace(SMALL, workload=Workload.MIXED, count=150, rate=2_000.0),
    "mixed, batch, closed": replace(SMALL, workload=Workload.MIXED, call=CallKind.BATCH, count=150),
    "mixed, batch, at the country's rate": replace(SMALL, workload=Workload.MIXED, call=CallKind.BATCH, intensity=10),
}


@pytest.fixture
def eventful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small mix contain everything."""
    for share in ("STAYS_SHARE", "LOSSES_SHARE", "REPEATED_SHARE", "WRONG_SHARE"):
        monkeypatch.setattr(work, share, 0.05)


@pytest.mark.usefixtures("eventful")
@pytest.mark.parametrize("mode", MODES)
def test_the_generators_books_equal_the_hubs_journal(mode: str, tmp_path: Path) -> None:
    plan = MODES[mode]
    report = run_bench(plan, Place(trial=tmp_path / "trial"))
    assert not report.problems and not report.incomplete
    own: Counter[tuple[str, bool]] = Counter()
    for (method, outcome), count in report.books.outcomes.items():
        if outcome == "ACCEPTED" and not METHODS[method].read:
            own[method, False] += count
        elif outcome == "CRYPTOGRAM_INVALID":
            own[method, True] += count
    assert own == _behind_the_town(in_journal(tmp_path / "trial" / "data", f"-{report.town}-"), plan.persons)
    assert report.journal_records == own.total()
    measured = sum((run.outcomes for run in report.runs), Counter[tuple[str, str]]())
    assert all(run.tasks.count == plan.count for run in report.runs)
    assert all(run.calls.count == run.outcomes.total() == sum(run.slices) for run in report.runs)
    assert report.books.sent == report.books.outcomes.total() > measured.total()
    if plan.workload is Workload.MIXED:
        outcomes = {outcome for _, outcome in report.books.outcomes}
        assert {"ACCEPTED", "REPLAYED", "CRYPTOGRAM_INVALID"} <= outcomes
        assert ("Cards.WithdrawLoss", "ACCEPTED") in report.books.outcomes


def _behind_the_town(found: Counter[tuple[str, bool]], persons: int) -> Counter[tuple[str, bool]]:
    for method in ("Persons.Enroll", "Cards.Apply", "Cards.MarkMade", "Cards.HandOver", "Cards.Enable"):
        assert found.pop((method, False)) == persons
    return Counter(
        {key: count for key, count in found.items() if key[0].split(".")[0] not in ("Packages", "Institutions")}
    )


def test_a_hub_that_stalls_makes_every_call_wait_that_was_due_meanwhile() -> None:
    recorder = Recorder()

    async def scene() -> None:
        clock, hub = TurnedClock(), Stalling()
        driver = Driver(hub, Books(), recorder, 1, clock)
        going = asyncio.create_task(driver.open(status_tasks(100), rate=100, most_in_flight=1_000))
        await clock.turn(195 * MS)
        hub.stall()
        await clock.turn(695 * MS)
        hub.go_on()
        await clock.turn(2_000 * MS)
        await going

    asyncio.run(scene())
    run = recorder.finished(Cpu(0, None))
    # Due every 10 ms: 20 before the stall at once, 50 during it after 495, 485, ... 5 ms, and 30 at once again.
    assert run.calls.count == 100
    assert run.calls.most_ms == pytest.approx(495, rel=2e-3)
    assert run.calls.ms(50) < 0.01
    assert run.calls.ms(75) == pytest.approx(245, rel=2e-3)
    assert run.calls.ms(99) == pytest.approx(485, rel=2e-3)


def test_what_waits_for_a_place_in_flight_waits_on_the_clock() -> None:
    recorder = Recorder()

    async def scene() -> int:
        clock, hub = TurnedClock(), Stalling()
        hub.stall()
        going = asyncio.create_task(
            Driver(hub, Books(), recorder, 1, clock).open(status_tasks(50), rate=1_000, most_in_flight=5)
        )
        await clock.turn(1_000 * MS)
        sent = hub.sent
        hub.go_on()
        await clock.turn(1_000 * MS)
        await going
        return sent

    assert asyncio.run(scene()) == 5
    latencies = recorder.finished(Cpu(0, None)).calls
    assert latencies.count == 50
    assert latencies.most_ms == pytest.approx(1_000, rel=2e-3)
    # The last one was due after 49 ms and was let go at 1,000.
    assert latencies.curve()[0][1] == pytest.approx(951, rel=2e-3)


def test_a_stall_of_the_hubs_own_port_is_measured_from_the_intended_start() -> None:
    """The same over the way that an embedded hub really has: the port, its descriptor, the loop's reader."""
    recorder = Recorder()
    response = operations_pb2.OperationsStatusResponse().SerializeToString()

    async def scene() -> None:
        clock, hub = TurnedClock(), ScriptedHub(lambda _request: None)
        port = hub.port()
        driver = Driver(Embedded(port, batched=False), Books(), recorder, 1, clock)
        going = asyncio.create_task(driver.open(status_tasks(10), rate=10, most_in_flight=100))
        await clock.turn(1_000 * MS)
        for ticket in range(1, 11):
            hub.native.finish(ticket, True, response)
        await going
        port.close()

    asyncio.run(scene())
    latencies = recorder.finished(Cpu(0, None)).calls
    assert [round(ms) for ms in (latencies.most_ms, latencies.ms(50), latencies.ms(10))] == [1_000, 500, 100]


class Lossy:
    """A hub of which every third message gets no answer."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, by: Actor, commands: Sequence[Command]) -> Reply:
        """See `Transport`."""
        self.sent += 1
        answers = self.sent % 3 != 0
        await asyncio.sleep(0)
        if answers:
            return lambda: [Answer(operations_pb2.OperationsStatusResponse())] * len(commands)
        return failed_reply(NoAnswer("UNAVAILABLE", "the line broke"), len(commands))


def test_what_got_no_answer_is_in_no_rate_and_no_latency() -> None:
    recorder = Recorder()
    asyncio.run(Driver(Lossy(), Books(), recorder, 1, TurnedClock()).closed(status_tasks(30), callers=4))
    run = recorder.finished(Cpu(0, None))
    assert (run.calls.count, run.tasks.count, run.unanswered, sum(run.slices)) == (20, 20, 10, 20)
    assert run.by_method["Operations.Status"].count == 20
    assert run.outcomes["Operations.Status", "NO_ANSWER UNAVAILABLE"] == 10


def test_a_rate_that_was_not_held_and_answers_that_did_not_come_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    report = run_bench(replace(SMALL, rate=1e6, runs=1, count=200), Place())
    (remark,) = report.remarks
    assert "1,000,000 a second were due" in remark and not report.incomplete

    async def lossy(self: Embedded, by: Actor, commands: Sequence[Command]) -> Reply:
        if by != Actors().hospital:
            return await embedded(self, by, commands)
        return failed_reply(NoAnswer("UNAVAILABLE", "the line broke"), len(commands))

    embedded = Embedded.send
    monkeypatch.setattr(Embedded, "send", lossy)
    report = run_bench(replace(SMALL, runs=1, count=20), Place())
    assert report.incomplete == ["run 1 of 1: no answer came to 20 UNAVAILABLE; rates and latencies are of the others"]
    assert not report.problems and "Before you read it" in page(report)


def test_callers_of_the_closed_loop_have_one_message_each_in_flight() -> None:
    async def scene() -> int:
        hub = Stalling()
        hub.stall()
        driver = Driver(hub, Books(), Recorder(), 1, TurnedClock())
        going = asyncio.create_task(driver.closed(status_tasks(40), callers=8))
        for _ in range(100):
            await asyncio.sleep(0)
        in_flight = hub.sent
        hub.go_on()
        await going
        assert hub.sent == 40
        return in_flight

    assert asyncio.run(scene()) == 8


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_are_those_of_the_sorted_values(seed: int) -> None:
    drawn = random.Random(seed)
    values = [round(drawn.lognormvariate(7, 1.5)) + 1 for _ in range(50_000)]
    latencies, in_order = Latencies(values), sorted(values)
    for percentile in PERCENTILES:
        # Nearest rank: the least value that this share of all does not exceed.
        rank = -(-len(values) * round(percentile * 100) // 10_000)
        assert latencies.ms(percentile) == pytest.approx(in_order[rank - 1] / 1e3, rel=1.1e-3)
    assert latencies.count == len(values)
    assert latencies.mean_ms == pytest.approx(sum(values) / len(values) / 1e3, rel=1e-3)
    assert latencies.most_ms == pytest.approx(in_order[-1] / 1e3, rel=1.1e-3)


def test_books_that_lie_are_found_out() -> None:
    def command(name: str) -> Command:
        return Command("Visits.Settle", ASKING, name, b"", b"")

    books, accepted = Books(), Answer(visits_pb2.VisitsSettleResponse())
    for name in ("a", "b"):
        books.enter(command(name), accepted)
    books.enter(command("c"), Answer(None, "CRYPTOGRAM_INVALID"))
    books.enter(command("d"), Answer(None, "CARD_LOST"))

    def journal(*ids: str, wrong: str = "c") -> Journal:
        found = Journal(accepted=Counter({"Visits.Settle": len(ids)}), accepted_ids=set(ids))
        found.refused["CRYPTOGRAM_INVALID"].update(wrong)
        return found

    assert not books.compare(journal("a", "b"))
    assert "2 accepted by the generator's books, 1 in the journal" in books.compare(journal("a"))[0]
    assert "3 in the journal" in books.compare(journal("a", "b", "x"))[0]
    assert "were answered and are not in the journal" in books.compare(journal("a", "x"))[0]
    assert "CRYPTOGRAM_INVALID: 1 requests" in books.compare(journal("a", "b", wrong=""))[0]
    books.enter(command("x"), Answer(None, "NO_ANSWER UNAVAILABLE", unknown=True))
    assert not books.compare(journal("a", "b", "x"))
    assert not books.compare(journal("a", "b"))
    books.sent += 1
    assert "outcomes are in the books" in books.compare(journal("a", "b"))[0]


def _drawn(seed: int, count: int) -> list[Command]:
    """Draw the first commands of a mix for a town of cards that no hub knows."""
    town = Town(Actors())
    for serial in range(100):
        chip = SoftCard(Scheme.PBOC_SM4, bytes(16), f"91563{serial:011}", 1, f"{serial:032X}", 1)
        town.persons.append(Person(common_pb2.Certificate(), serial, chip))
    plan = Plan(workload=Workload.MIXED, persons=100, seed=seed)
    tasks = Work(plan, town, Composer(batched=False)).tasks()
    return [next(task()) for task in itertools.islice(tasks, count)]


def _cryptograms(commands: list[Command]) -> list[bytes]:
    visits = [command.body for command in commands if command.method == "Visits.Settle"]
    return [visits_pb2.VisitsSettleRequest.FromString(body).presentation.chip.cryptogram for body in visits]


def test_the_same_seed_draws_the_same_mix() -> None:
    first, again, other = _drawn(1, 200), _drawn(1, 200), _drawn(2, 200)
    assert [command.method for command in first] == [command.method for command in again]
    assert _cryptograms(first) == _cryptograms(again) != _cryptograms(other)


def test_the_mix_has_hot_persons_and_the_shares_that_it_names() -> None:
    commands = _drawn(3, 3_000)
    visits = [visits_pb2.VisitsSettleRequest.FromString(c.body) for c in commands if c.method == "Visits.Settle"]
    uses = Counter(visit.presentation.chip.pan for visit in visits).most_common()
    # By 1/rank the first of a hundred persons comes with 1 in 5.19, and the tenth with a tenth of that.
    assert uses[0][1] / len(visits) == pytest.approx(1 / 5.187, rel=0.15)
    assert uses[9][1] / uses[0][1] == pytest.approx(0.1, rel=0.4)
    repeated = len(visits) - len({visit.header.request_id for visit in visits})
    assert repeated / len(commands) == pytest.approx(work.REPEATED_SHARE, rel=0.5)
    counted = Counter(command.method for command in commands)
    assert 0 < counted["Cards.ReportLoss"] < 20 and 0 < counted["Inpatient.Admit"] < 40


def test_the_country_is_a_rate() -> None:
    plan = Plan(workload=Workload.MIXED, call=CallKind.BATCH, intensity=100, duration_s=2.0)
    assert (plan.open_rate, plan.tasks) == (100 * COUNTRY_PER_SECOND, 48_000)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"callers": 0}, "--callers"),
        ({"callers": 10**9}, "--callers"),
        ({"rate": 0.0}, "--rate"),
        ({"rate": -1.0}, "--rate"),
        ({"rate": float("nan")}, "--rate"),
        ({"rate": 1e9}, "--rate"),
        ({"batch_size": 0}, "--batch-size"),
        ({"batch_size": 10_001}, "--batch-size"),
        ({"count": 0}, "--count"),
        ({"count": 10**9}, "--count"),
        ({"duration_s": 0.0}, "--duration"),
        ({"duration_s": 80_000.0, "rate": 1_000.0}, "80,000,000 requests"),
        ({"runs": 0}, "--runs"),
        ({"warm_up": -1}, "--warmup"),
        ({"persons": 1}, "--persons"),
        ({"intensity": 2, "workload": Workload.MIXED}, "--intensity"),
        ({"intensity": 10}, "--workload mixed"),
        ({"intensity": 10, "rate": 5.0, "workload": Workload.MIXED}, "leave --rate out"),
        ({"workload": Workload.STAY, "persons": 20}, "at least 64"),
        ({"workload": Workload.STAY, "callers": 1, "persons": 10, "warm_up": 0, "count": 200}, "too few for 600 stays"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_refused_with_the_option_that_is_wrong(options: dict[str, object], reason: str) -> None:
    with pytest.raises(WrongPlan, match=reason):
        Plan(**options)  # type: ignore[arg-type]


def test_places_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongPlan, match="needs --trial"):
        Place(target="127.0.0.1:1")
    with pytest.raises(WrongPlan, match="--target"):
        Place(insecure=True)
    with pytest.raises(WrongPlan, match="runs already"):
        Place(target="127.0.0.1:1", trial=tmp_path, serve=True)
    (tmp_path / "something").touch()
    for place in (Place(trial=tmp_path), Place(data=tmp_path)):
        with pytest.raises(WrongPlan, match="not empty"):
            run_bench(SMALL, place)
    with pytest.raises(WrongPlan, match="--serve or --target"):
        run_bench(replace(SMALL, call=CallKind.STREAM), Place())


def test_a_trial_folder_is_gone_on_with(tmp_path: Path) -> None:
    for _ in range(2):
        report = run_bench(replace(SMALL, runs=1, count=20), Place(trial=tmp_path / "trial"))
        assert (report.journal_records, report.problems) == (31, [])
        assert set(report.books.outcomes) == {("Visits.Settle", "ACCEPTED")}


def test_the_page_needs_nothing_else_and_shows_what_the_json_holds(tmp_path: Path) -> None:
    report = run_bench(replace(SMALL, workload=Workload.MIXED), Place())
    report = replace(report, problems=["<b>5 & more</b>"])
    written = page(report)
    assert "<script" not in written and "@import" not in written and "url(" not in written
    assert written.count("http") == written.count('xmlns="http://www.w3.org/2000/svg"')
    assert "&lt;b&gt;5 &amp; more&lt;/b&gt;" in written
    pictures = [part.split("</svg>")[0] + "</svg>" for part in written.split("<section>") if "<svg" in part]
    drawn = [ElementTree.fromstring(part[part.index("<svg") :]) for part in pictures]
    lines = [picture.findall("{http://www.w3.org/2000/svg}polyline") for picture in drawn]
    assert [len(found) for found in lines] == [len(report.runs) + 1, len(report.runs)]
    for polyline in (line for found in lines for line in found):
        for point in polyline.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 860 and 0 <= y <= 340
    document = json.loads(json.dumps(to_json(report)))
    assert document["books"]["sent"] == report.books.sent
    for run, shown in zip(report.runs, document["runs"], strict=True):
        assert sum(shown["answers_per_tenth_of_a_second"]) == run.calls.count
        assert shown["cpu_ns"]["hub"] > 0 and shown["cpu_ns"]["generator"] > 0
        assert shown["floor"]["latencies"]["count"] == 200
    named = dict(rows(report))
    assert all(value in written for value in named.values())
    assert "too few messages" in named["latency p99.99, ms"]


def test_payload_files_decode_as_what_they_are_said_to_be(tmp_path: Path) -> None:
    plan = Plan(call=CallKind.BATCH, count=15, batch_size=9, persons=20)
    asyncio.run(payloads.write(tmp_path / "files", Place(trial=tmp_path / "trial"), plan, Silent()))
    visits = json.loads((tmp_path / "files" / "visits.json").read_text())
    requests = [json_format.ParseDict(visit, visits_pb2.VisitsSettleRequest()) for visit in visits]
    batch = batch_pb2.BatchSubmitRequest.FromString((tmp_path / "files" / "batch.bin").read_bytes())
    requests += [command.visits_settle for command in batch.commands]
    assert len({request.header.request_id for request in requests}) == 15 + 9
    assert all(len(request.presentation.chip.cryptogram) == 8 for request in requests)
    framed = (tmp_path / "files" / "batch.grpc").read_bytes()
    assert framed[0] == 0 and int.from_bytes(framed[1:5]) == len(framed) - 5
    assert framed[5:] == batch.SerializeToString()
    assert (tmp_path / "files" / "status.grpc").read_bytes() == bytes(5)
    contract = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "files" / "medsettle.protoset").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in contract.file:
        pool.Add(file)
    assert pool.FindMethodByName("medsettle.v1.Visits.Settle").input_type.name == "VisitsSettleRequest"
    # What is in the files is accepted by the hub of the folder.
    from medsettle import Hub
    from medsettle.bench.trial import HOSPITAL, reopen

    scratch = reopen(tmp_path / "trial")
    with Hub.open(scratch.data, keys=scratch.key_ring, kek=scratch.kek) as hub:
        ward = hub.acting(HOSPITAL.roles, HOSPITAL.institution)
        assert all(ward.visits.settle(request).settlement_id for request in requests[:15])
        assert [result.WhichOneof("result") for result in ward.submit(batch).results] == ["visits_settle"] * 9
    with pytest.raises(WrongPlan, match="not empty"):
        asyncio.run(payloads.write(tmp_path / "files", Place(trial=tmp_path / "trial"), plan, Silent()))


WITHOUT = "import sys; sys.modules['hdrh'] = None; from medsettle.cli import main; main(sys.argv[1:])"


def test_without_the_library_the_command_says_what_to_install_and_others_work() -> None:
    def without(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, check=False)

    asked = without("bench")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "pip install 'medsettle[bench]'" in asked.stderr and "Traceback" not in asked.stderr
    assert without("bench", "--help").returncode == 0
    assert without("policy", "--help").returncode == 0
