"""Row 12: what an earlier release wrote opens with today's code and says what it said then."""

from pathlib import Path

import pytest

from golden import ARCHIVE, EXPECTED, Golden, ask, from_json, kept, make, still_says, tail
from golden_story import known_kinds
from medsettle import journal

GOLDEN = kept()


def rows(expected: dict[str, object], name: str) -> list[dict[str, object]]:
    listed = expected[name]
    assert isinstance(listed, list)
    return listed


@pytest.mark.fault(12)
@pytest.mark.parametrize("golden", GOLDEN, ids=[golden.name for golden in GOLDEN])
def test_a_directory_that_a_release_wrote_opens_and_says_what_it_said_then(golden: Golden, tmp_path: Path) -> None:
    expected = golden.expected()
    golden.unpack(tmp_path)
    assert journal.verify(tmp_path).findings == []
    assert tail(tmp_path) == expected["tail"]
    answers = rows(expected, "answers")
    now = ask(tmp_path, int(str(expected["written_ms"])), [from_json(row) for row in answers])
    for row, answer in zip(answers, now, strict=True):
        assert still_says(row["response"], answer), row["method"]
    assert tail(tmp_path) == expected["tail"], "to ask leaves nothing behind"


def test_some_golden_directory_holds_every_kind_of_fact_that_is_known() -> None:
    held: set[str] = set()
    for golden in GOLDEN:
        written = golden.expected()["tail"]
        assert isinstance(written, dict)
        held |= set(written["facts"])
    assert held == known_kinds(), "make golden"


def test_what_is_kept_is_never_written_again(tmp_path: Path) -> None:
    made = make(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == [made.name + EXPECTED, made.name + ARCHIVE]
    with pytest.raises(SystemExit, match="is kept already"):
        make(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("then", "now", "holds"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": 1}, None, False),
    ],
)
def test_more_may_be_said_but_nothing_else(then: object, now: object, holds: bool) -> None:
    assert still_says(then, now) == holds
