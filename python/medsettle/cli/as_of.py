"""`medsettle as-of`: the state of a person, a card, an account or a stay as it was."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.terminal import MAX_NUMBER, CommandFailed, ExitCode, bytes_progress, console, moment, wrong_input

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from medsettle.journal import Past

# Business days are those of UTC+8.
_DAY_OF = timedelta(hours=8)
_DAY_MS = 86_400_000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Kind(StrEnum):
    """What can be looked at."""

    PERSON = "person"
    CARD = "card"
    ACCOUNT = "account"
    STAY = "stay"


def as_of(
    kind: Annotated[Kind, typer.Argument(metavar="person|card|account|stay", help="What to look at.")],
    number: Annotated[
        str, typer.Argument(metavar="ID", help="Its id; of an account, the person's. A card also by its serial number.")
    ],
    data: Annotated[Path, typer.Option(help="Data directory; a hub may be using it.", file_okay=False)],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="MOMENT",
            help="2026-03-01 (the end of that day, UTC+8; today: until now), 2026-03-01T12:00:00+08:00, or milliseconds"
            " since 1970 UTC.",
        ),
    ] = None,
    sequence: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=MAX_NUMBER, help="Behind this decision.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The hub's answer as JSON.")] = False,
) -> None:
    """Show what a person, card, account or stay was at a moment, or behind a decision; from the journal alone.

    Without --at and --sequence it is shown as it is behind the newest decision.

    Facts are folded up to there, and the hub is asked as it was: what an auditor would have been answered then. Nothing
    is changed. Names and numbers are masked as `medsettle inspect` masks them.

    Exit codes: 0 shown; 1 nothing had this id then, or the journal is damaged before that place; 2 could not run.
    """
    from medsettle import journal
    from medsettle.errors import Rejected

    if at is not None and sequence is not None:
        raise CommandFailed("give one of --at, --sequence")
    with wrong_input():
        at_ms = None if at is None else moment_ms(at)
        with bytes_progress("reading the journal") as show:
            past = journal.as_of(data, at_ms=at_ms, sequence=sequence, progress=show)
    try:
        answers = list(_ASKED[kind](past, number))
    except Rejected as refused:
        when = f"at {moment(at_ms)}" if at_ms is not None else f"behind sequence {past.sequence}"
        raise CommandFailed(
            f"{data}: no {kind} has the id {number} {when}; the newest decision was {past.sequence:,} then ({refused})",
            ExitCode.BAD_NEWS,
        ) from None
    _show(past, kind, number, answers, as_json)


_LATEST_MS = int(datetime.max.replace(tzinfo=UTC).timestamp() * 1000)


def moment_ms(text: str) -> int:
    """Read a moment; a day stands for its end, today for what there is of it. Raises ValueError."""
    try:
        return _moment_ms(text)
    except OverflowError:
        raise ValueError(f"{text!r} lies before or behind all days that there are") from None


def _moment_ms(text: str) -> int:
    if text.isascii() and text.isdigit():
        if int(text) > _LATEST_MS:
            raise OverflowError
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; write 2026-03-01 or 2026-03-01T12:00:00+08:00") from None
    if _DATE.fullmatch(text):
        midnight = found.replace(tzinfo=UTC) - _DAY_OF + timedelta(days=1)
        end_ms, now_ms = int(midnight.timestamp() * 1000) - 1, time.time_ns() // 1_000_000
        is_today = end_ms - _DAY_MS < now_ms <= end_ms
        return now_ms if is_today else end_ms
    if found.tzinfo is None:
        raise ValueError(f"{text!r} does not say in which time zone; write {text}+08:00 or {text}Z")
    return int(found.timestamp() * 1000)


def _id(number: str) -> int:
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 1 << 64):
        raise CommandFailed(
            f"{number!r} is no id; ids are whole numbers, as responses and `medsettle inspect` show them"
        )
    return int(number)


def _person(past: "Past", number: str) -> "Iterator[Message]":
    from medsettle.v1 import cards_pb2, persons_pb2

    person_id = _id(number)
    yield past.persons.get(persons_pb2.PersonsGetRequest(person_id=person_id))
    yield past.cards.list(cards_pb2.CardsListRequest(person_id=person_id))


def _card(past: "Past", number: str) -> "Iterator[Message]":
    from medsettle.v1 import cards_pb2

    by_serial = re.fullmatch(r"[0-9A-Fa-f]{32}", number) is not None
    yield past.cards.get(
        cards_pb2.CardsGetRequest(card_sn=number) if by_serial else cards_pb2.CardsGetRequest(card_id=_id(number))
    )


def _account(past: "Past", number: str) -> "Iterator[Message]":
    from medsettle.v1 import accounts_pb2

    person_id = _id(number)
    yield past.accounts.get(accounts_pb2.AccountsGetRequest(person_id=person_id))
    yield past.accounts.get_accumulators(accounts_pb2.AccountsGetAccumulatorsRequest(person_id=person_id))


def _stay(past: "Past", number: str) -> "Iterator[Message]":
    from medsettle.v1 import inpatient_pb2

    yield past.inpatient.get_stay(inpatient_pb2.InpatientGetStayRequest(stay_id=_id(number)))


_ASKED: "dict[Kind, Callable[[Past, str], Iterator[Message]]]" = {
    Kind.PERSON: _person,
    Kind.CARD: _card,
    Kind.ACCOUNT: _account,
    Kind.STAY: _stay,
}


def _show(past: "Past", kind: Kind, number: str, answers: "list[Message]", as_json: bool) -> None:
    from rich.tree import Tree

    from medsettle import jsonform
    from medsettle.cli.frames import grow, mask

    for answer in answers:
        mask(answer)
        answer.ClearField("header")
    if as_json:
        document: dict[str, object] = {"sequence": past.sequence, "stamp_ms": past.stamp_ms}
        for answer in answers:
            document.update(jsonform.to_json(answer))
        document.pop("header", None)
        print(json.dumps(document, ensure_ascii=False))
        return
    decided = f"decided {moment(past.stamp_ms)}" if past.sequence else "nothing was decided yet"
    tree = Tree(f"{kind} {number} behind sequence {past.sequence:,}, {decided}")
    for answer in answers:
        grow(tree, answer)
    console().print(tree)
