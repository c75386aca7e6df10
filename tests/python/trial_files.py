"""Files to be imported into the small insured world: rows of people who are nobody's, and what their import told.

Invariant: a row follows from its number alone, so a model of what a hub must hold is made without reading the file.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trial_command import Outcome
from trial_world import JINAN

Row = Mapping[str, object]


def person(number: int) -> dict[str, object]:
    """Describe somebody insured in Jinan, with an identity number of region 000000."""
    return {
        "name": f"张{number}",
        "sex": ("FEMALE", "MALE")[number % 2],
        "birth_date": f"19{50 + number // 25_200 % 50}-{1 + number // 2_100 % 12:02}-{1 + number // 75 % 28:02}",
        "certificate_kind": "IDENTITY_CARD",
        "certificate_number": identity(number),
        "insurance_type": "EMPLOYEE",
        "region": JINAN,
        "category": "ACTIVE",
        "from_date": "2020-01-01",
    }


def identity(number: int) -> str:
    """Make the identity number of a person: another for each."""
    digits = f"000000{1900 + number // 999 // 28 // 12}{1 + number // 999 // 28 % 12:02}{1 + number // 999 % 28:02}"
    digits += f"{number % 999:03}"
    remainder = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits)) % 11
    return digits + "10X98765432"[remainder]


def holder(number: int) -> dict[str, object]:
    """Name a person by certificate."""
    return {"certificate_kind": "IDENTITY_CARD", "certificate_number": identity(number)}


def card(number: int, state: str = "ENABLED", **other: object) -> dict[str, object]:
    """Describe a card without a chip; its number begins with 9156."""
    return {
        **holder(number),
        "generation": "2",
        "pan": f"9156{number:09}",
        "card_sn": f"{number:032X}",
        "insurance_state": state,
        **other,
    }


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write a CSV file."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def rejected(path: Path) -> list[tuple[int, str, str]]:
    """Read the rejects as (row, column, reason)."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(int(row["reject_row"]), row["reject_field"], row["reject_reason"]) for row in csv.DictReader(file)]


@dataclass(frozen=True)
class Told:
    """The control totals that a command printed, as (rows, fen)."""

    imported: tuple[int, int]
    already: tuple[int, int]
    rejected: tuple[int, int]


def told(out: str) -> Told:
    """Read what an import printed."""

    def found(name: str) -> tuple[int, int]:
        match = re.search(rf"^  {name} +([\d,]+) rows, (-?\d+) fen$", out, re.MULTILINE)
        assert match is not None, out
        return int(match[1].replace(",", "")), int(match[2])

    return Told(found("imported"), found("already there"), found("rejected"))


def total(outcome: Outcome, code: int = 0) -> Told:
    """Read what an import printed that ended with a code."""
    assert outcome.code == code, outcome.err
    return told(outcome.out)


def fen(rows: Iterable[Row], column: str) -> int:
    """Sum a column."""
    return sum(int(str(row.get(column, 0))) for row in rows)
