"""What a client remembers of a hub's answers, and when that proves that the hub has forgotten.

Owns the witness, the newest decision that an answer named, and the file in which it outlives the client.
Invariant: forgetting is never said of a hub that answers late, replays a first answer, restarts, or was restored whole.
Leaves out asking the hub: client.py.

| observed | proves |
| --- | --- |
| the hub has no decision of the witness's sequence, or another hash for it (`Operations.Status`) | it has forgotten |
| an answer names the witness's sequence with another hash | it has forgotten |
| a command was begun behind the witness, and its answer, not a replay, names a lower sequence | it has forgotten |
| a lower sequence in a replay, in a read, or in the answer to what was begun before the witness was known | nothing |
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from medsettle.errors import ServerForgot
from medsettle.v1 import common_pb2, operations_pb2

_log = logging.getLogger("medsettle.client")

_WRITE_INTERVAL_S = 1.0
"""Between two writes of the file, which is what a killed client forgets at most; an older witness still proves."""


@dataclass(frozen=True, slots=True)
class Witness:
    """The newest decision that an answer named, with the hash of its frame: a hub that denies it has forgotten."""

    sequence: int
    chain_hash: bytes

    def __str__(self) -> str:
        return f"sequence {self.sequence} with chain hash {self.chain_hash.hex()}"


class Memory:
    """The witness of one hub, for any number of threads; in a file where one is named."""

    def __init__(self, file: Path | None = None, now_s: Callable[[], float] = time.monotonic) -> None:
        """Read the file, if there is one; raises ValueError for a file that holds no witness."""
        self._lock = threading.Lock()
        self._file = file
        self._now_s = now_s
        self._written_s = float("-inf")
        self._written: Witness | None = None
        self._proved_by = ""
        self._forgot: ServerForgot | None = None
        self.witness: Witness | None = None
        if file is not None and file.exists():
            self.witness = self._written = _read(file)

    def before_call(self) -> Witness | None:
        """Give what is known as a call begins; raises ServerForgot once the hub was seen to have forgotten."""
        if self._forgot is not None:
            raise ServerForgot(str(self._forgot), self._forgot.seen, self._forgot.found)
        return self.witness

    def must_be_proved(self, start: str) -> Witness | None:
        """Give the witness that a hub must prove to hold, because its process is not the one that did so before.

        `start` names the process that answered; a hub that does not name itself is believed.
        """
        with self._lock:
            if start == self._proved_by or not start:
                return None
            if self.witness is None:
                self._proved_by = start
            return self.witness

    def prove(
        self, start: str, asked: Witness, status: operations_pb2.OperationsStatusResponse, answer: object
    ) -> None:
        """Compare what the hub holds at the place of a witness; raises ServerForgot."""
        if status.seen_chain_hash != asked.chain_hash:
            held = f"another chain hash, {status.seen_chain_hash.hex()}," if status.seen_chain_hash else "no decision"
            newest = Witness(status.header.sequence, status.header.chain_hash)
            raise self._forgetting(asked, newest, f"it holds {held} there; its newest is {newest}", answer)
        with self._lock:
            self._proved_by = start

    def note(self, response: Message, known: Witness | None) -> None:
        """Take note of an answer; raises ServerForgot. `known` was known as its command began; None for a read."""
        header = getattr(response, "header", None)
        if not isinstance(header, common_pb2.ResponseHeader) or not header.sequence:
            return
        named = Witness(header.sequence, header.chain_hash)
        with self._lock:
            seen = self.witness
            if seen is None or named.sequence > seen.sequence:
                self.witness = named
        if seen is not None and named.sequence == seen.sequence and named.chain_hash != seen.chain_hash:
            raise self._forgetting(seen, named, f"it answered with {named}", response)
        if known is not None and not header.replayed and named.sequence < known.sequence:
            raise self._forgetting(known, named, f"a command begun after that was answered with {named}", response)
        self._write(at_once=False)

    def _forgetting(self, seen: Witness, found: Witness, text: str, answer: object) -> ServerForgot:
        forgot = ServerForgot(
            f"the hub has forgotten what it had answered: it named {seen}, and now {text}", seen, found
        )
        self._forgot = forgot
        _log.critical("%s", forgot)
        forgot.answer = answer
        return forgot

    def begin_anew(self) -> None:
        """Forget the witness, in its file too: whoever is in charge knows of the loss and goes on with this hub."""
        with self._lock:
            self.witness, self._forgot, self._proved_by, self._written = None, None, "", None
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def close(self) -> None:
        """Write the file a last time."""
        self._write(at_once=True)

    def _write(self, *, at_once: bool) -> None:
        """Write the file when it is due; one that cannot be written costs no answer, and is told when it is closed."""
        if self._file is None:
            return
        with self._lock:
            witness, now_s = self.witness, self._now_s()
            due = at_once or now_s - self._written_s >= _WRITE_INTERVAL_S
            if witness is None or witness == self._written or not due:
                return
            self._written_s = now_s
            try:
                _replace(self._file, {"sequence": witness.sequence, "chain_hash": witness.chain_hash.hex()})
            except OSError as error:
                # Whoever lost the answer would ask again under another id, and be settled twice.
                if at_once:
                    raise
                _log.critical("the witness file %s cannot be written: %s", self._file, error)
                return
            self._written = witness


def _replace(file: Path, document: dict[str, object]) -> None:
    """Put a document in the place of a file, whole or not at all; other processes may do the same."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    with temporary.open("w") as written:
        json.dump(document, written)
        written.flush()
        os.fsync(written.fileno())
    temporary.replace(file)


def _read(file: Path) -> Witness:
    try:
        document: Any = json.loads(file.read_text())
        return Witness(int(document["sequence"]), bytes.fromhex(document["chain_hash"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} holds no witness of a hub: {error}") from None
