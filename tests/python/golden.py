"""Golden data directories: what a release wrote, and what it must be to every later one.

`python tests/python/golden.py` writes the story of golden_story.py with the installed medsettle and keeps the directory
and the answers of that day in vectors/golden, named by the version and the schema number; `make golden` does so.
Invariant: a golden directory is never written again; an older one is never removed.
Invariant: it is opened as a copy, by a clock that stands at the moment when it was written.
"""

import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from google.protobuf.message import Message

from golden_story import Story, records, written_kinds
from medsettle import EngineSettings, Hub, ManualClock, Rejected, journal, jsonform
from medsettle.v1 import (
    accounts_pb2,
    cards_pb2,
    filings_pb2,
    fraud_pb2,
    inpatient_pb2,
    journal_pb2,
    messages_pb2,
    operations_pb2,
    packages_pb2,
    persons_pb2,
)
from medsettle.v1.facade import METHODS
from trial_world import AUDITOR, DESK, LOCAL_HOSPITAL, PHARMACY, ROLE_OF, days_ago

KEPT = Path(__file__).parents[1] / "vectors" / "golden"
ARCHIVE, EXPECTED = ".tar.xz", ".json"

Query = tuple[str, str, Message]
"""Institution, method, request."""


@dataclass(frozen=True)
class Golden:
    """One kept directory."""

    name: str

    def expected(self) -> dict[str, object]:
        """Read what it must fold to."""
        read: dict[str, object] = json.loads((KEPT / (self.name + EXPECTED)).read_text())
        return read

    def unpack(self, directory: Path) -> None:
        """Write a copy of the files into a directory."""
        with tarfile.open(KEPT / (self.name + ARCHIVE)) as archive:
            archive.extractall(directory, filter="data")


def kept() -> list[Golden]:
    """List the golden directories of all releases."""
    return [Golden(path.name.removesuffix(EXPECTED)) for path in sorted(KEPT.glob("*" + EXPECTED))]


def tail(data: Path) -> dict[str, object]:
    """Say where a journal ends and what it holds."""
    frames = list(journal.inspect(data))
    last = frames[-1]
    return {
        "frames": len(frames),
        "records": len(records(data)),
        "number": last["number"],
        "last_sequence": last["last_sequence"],
        "hash": bytes(last["hash"]).hex(),  # type: ignore[call-overload]
        "facts": sorted(written_kinds(data)),
    }


def ask(data: Path, now_ms: int, queries: list[Query]) -> list[dict[str, object] | None]:
    """Open a directory at a moment and ask; None where the query is refused."""
    settings = EngineSettings(segment_bytes=1 << 20, seal_after_ms=3_600_000)
    answers: list[dict[str, object] | None] = []
    with Hub.open(data, settings=settings, clock=ManualClock(now_ms)) as hub:
        for institution, method, request in queries:
            acting = hub.acting([ROLE_OF.get(institution, "HOSPITAL")], institution)
            try:
                if METHODS[method].page_operation:
                    pages = acting.accounts.statement(request)  # type: ignore[arg-type]
                    answers.append({"pages": [jsonform.to_json(page) for page in pages]})
                else:
                    answer = jsonform.to_json(acting.call(method, request))
                    # The version of the program that answers is no part of what the directory holds.
                    answer.pop("version", None)
                    answers.append(answer)
            except Rejected:
                answers.append(None)
    return answers


def still_says(then: object, now: object) -> bool:
    """Whether all that was said is said now; a later version may say more."""
    if isinstance(then, dict) and isinstance(now, dict):
        return all(key in now and still_says(value, now[key]) for key, value in then.items())
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(still_says, then, now))
    return then == now


def from_json(query: dict[str, object]) -> Query:
    method = str(query["method"])
    return str(query["institution"]), method, jsonform.parse(METHODS[method].request_type, query["request"])


def _queries(data: Path) -> Iterator[Query]:
    """Ask about everything that the records name."""
    yield AUDITOR, "Operations.Status", operations_pb2.OperationsStatusRequest()
    yield AUDITOR, "Operations.TrialBalance", operations_pb2.OperationsTrialBalanceRequest()
    yield AUDITOR, "Fraud.ListAlerts", fraud_pb2.FraudListAlertsRequest(include_acknowledged=True)
    yield AUDITOR, "Fraud.ListClaims", fraud_pb2.FraudListClaimsRequest()
    yield AUDITOR, "Packages.List", packages_pb2.PackagesListRequest()
    for record in records(data):
        outcome = messages_pb2.MessagesGetOutcomeRequest(request_id=record.request_id)
        yield record.institution_code, "Messages.GetOutcome", outcome
        for fact in record.facts:
            yield from _about(record.institution_code, fact)
    for institution in (LOCAL_HOSPITAL, PHARMACY):
        yield institution, "Inpatient.ListStays", inpatient_pb2.InpatientListStaysRequest()
        day = inpatient_pb2.InpatientListSettlementsRequest(day=days_ago(0).isoformat())
        yield institution, "Inpatient.ListSettlements", day


def _about(institution: str, fact: journal_pb2.Fact) -> Iterator[Query]:
    kind = fact.WhichOneof("fact")
    if kind == "person_enrolled":
        person_id = fact.person_enrolled.person_id
        yield DESK, "Persons.Get", persons_pb2.PersonsGetRequest(person_id=person_id)
        yield DESK, "Accounts.Get", accounts_pb2.AccountsGetRequest(person_id=person_id)
        yield DESK, "Accounts.GetAccumulators", accounts_pb2.AccountsGetAccumulatorsRequest(person_id=person_id)
        yield AUDITOR, "Accounts.Statement", accounts_pb2.AccountsStatementRequest(person_id=person_id)
        yield DESK, "Cards.List", cards_pb2.CardsListRequest(person_id=person_id)
        yield DESK, "Filings.List", filings_pb2.FilingsListRequest(person_id=person_id)
    elif kind == "patient_admitted":
        stay_id = fact.patient_admitted.stay.stay_id
        yield institution, "Inpatient.GetStay", inpatient_pb2.InpatientGetStayRequest(stay_id=stay_id)
    elif kind == "settled":
        settlement_id = fact.settled.settlement_id
        request = inpatient_pb2.InpatientGetSettlementRequest(settlement_id=settlement_id)
        yield institution, "Inpatient.GetSettlement", request


def make(kept_in: Path = KEPT) -> Golden:
    """Write the golden directory of this version."""
    with tempfile.TemporaryDirectory() as scratch:
        story = Story(Path(scratch))
        with story.hub:
            story.tell()
        frames = list(journal.inspect(story.data))
        name = f"{metadata.version('medsettle')}-schema{_schema(story.data)}"
        if (kept_in / (name + EXPECTED)).exists():
            raise SystemExit(f"{kept_in / name} is kept already, and what is kept is never written again")
        now_ms = int(str(frames[-1]["stamp_ms"]))
        queries = list(_queries(story.data))
        answers = ask(story.data, now_ms, queries)
        expected = {
            "version": metadata.version("medsettle"),
            "written_ms": now_ms,
            "tail": tail(story.data),
            "answers": [
                {"institution": institution, "method": method, "request": jsonform.to_json(request), "response": answer}
                for (institution, method, request), answer in zip(queries, answers, strict=True)
                if answer is not None
            ],
        }
        kept_in.mkdir(parents=True, exist_ok=True)
        with tarfile.open(kept_in / (name + ARCHIVE), "w:xz", preset=9) as archive:
            for path in sorted(story.data.iterdir()):
                if path.name == "IDENTITY" or path.suffix == ".journal":
                    _add(archive, path)
        (kept_in / (name + EXPECTED)).write_text(_as_lines(expected))
    return Golden(name)


def _as_lines(expected: dict[str, object]) -> str:
    """Write one answer a line, so that a difference can be read."""
    answers = expected.pop("answers")
    assert isinstance(answers, list)
    head = json.dumps(expected, ensure_ascii=False)[:-1]
    return head + ', "answers": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in answers) + "\n]}\n"


def _add(archive: tarfile.TarFile, path: Path) -> None:
    content = path.read_bytes()
    member = tarfile.TarInfo(path.name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _schema(data: Path) -> int:
    """Read the schema number of the first frame, where FORMAT.md says it lies."""
    return int.from_bytes((data / "00000001.journal").read_bytes()[4096 + 8 : 4096 + 12], "little")


if __name__ == "__main__":
    sys.stdout.write(f"{make().name}\n")
