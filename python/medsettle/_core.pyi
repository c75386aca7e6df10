"""The native extension as Python sees it. Messages cross as protobuf bytes; (False, bytes) is an encoded Refusal."""

from collections.abc import Callable, Sequence
from typing import TypedDict, final

VERSION: str
"""Of the engine, as `Operations.Status` tells it."""

@final
class ManualClock:
    """A clock that stands until it is told that time passes; for tests, simulations and rehearsals."""

    def __init__(self, now_ms: int) -> None: ...
    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""

    def advance(self, ms: int) -> None:
        """Let time pass; raises ValueError for time that goes back."""

class Engine:
    @staticmethod
    def open(data: str, *, keys: str | None, kek: str | None, config: str, clock: ManualClock | None = None) -> Engine:
        """Open or create the data directory and start the engine's threads.

        `kek` is "file:PATH", "env:NAME" or "passphrase:TEXT"; `config` is the JSON of config.EngineSettings. Without a
        clock it reads the machine's.
        Raises DirectoryLocked, CorruptJournal, KeyRingError or ValueError.
        """

    def call(self, operation: int, roles: int, institution: str, request: bytes) -> tuple[bool, bytes]:
        """Decide one command and wait, detached, until its answer is durable."""

    def submit(self, roles: int, institution: str, request: bytes) -> tuple[bool, bytes]:
        """Decide an encoded BatchSubmitRequest and wait, detached, until its answer is durable."""

    def port(self) -> Port:
        """Open a port for one event loop."""

    def state(self) -> str:
        """Tell the state by its name in OperationsStatusResponse.State."""

    def halt_reason(self) -> str:
        """Tell why the engine halted; empty while it has not."""

    def metrics(self) -> dict[str, int]:
        """Read the engine's counters."""

    def close(self) -> None:
        """Answer what is queued and join the threads, detached; may be called again."""

    def close_inherited(self) -> None:
        """In the child of a fork: close the copy of the directory's lock, and never join threads that are not there."""

@final
class Port:
    def fileno(self) -> int:
        """Return the eventfd that is readable while answers wait."""

    def send(self, ticket: int, operation: int, roles: int, institution: str, request: bytes) -> None:
        """Queue one command; operation 0 is an empty frame through the group commit."""

    def send_batch(self, ticket: int, roles: int, institution: str, request: bytes) -> None:
        """Queue an encoded BatchSubmitRequest."""

    def reap(self) -> list[tuple[int, bool, bytes]]:
        """Take every answer that waits, as (ticket, ok, bytes), and make the eventfd unreadable."""

    def close(self) -> None:
        """Close the eventfd; answers that come later are dropped."""

def cryptogram_answer(
    scheme: str,
    derivation: str | None,
    issuer_key: bytes,
    pan: str,
    sequence_number: int,
    atc: int,
    data: bytes,
    cryptogram: bytes,
    arc: bytes | None,
    csu: bytes | None,
    auth_data: bytes | None,
) -> bytes:
    """Check a cryptogram and answer it; raises Rejected(CRYPTOGRAM_INVALID), or ValueError for malformed arguments."""

def benefit_quote(policy: bytes, case: bytes) -> tuple[bool, bytes]:
    """Apply an encoded BenefitPolicy to an encoded QuoteCase; the answer is an encoded QuoteResult."""

def policy_problems(policy: bytes) -> list[tuple[str, str]]:
    """Check an encoded BenefitPolicy; each problem is (path, text)."""

def catalogue_problems(catalogue: bytes) -> list[tuple[str, str]]:
    """Check an encoded Catalogue; each problem is (path, text)."""

def alert_rules_problems(rules: bytes) -> list[tuple[str, str]]:
    """Check encoded AlertRules; each problem is (path, text)."""

class _Verified(TypedDict):
    segments: int
    frames: int
    records: int
    last_frame: int
    last_sequence: int
    last_hash: bytes
    torn: str | None
    snapshots: list[dict[str, object]]
    unfinished_snapshot: str | None
    journal_is_whole: bool
    findings: list[dict[str, object]]

def verify(data: str, replay: bool, progress: Callable[[int, int], None] | None) -> _Verified:
    """Check a data directory, with `replay` also its snapshots against the journal. Progress gets (bytes done, bytes).

    Each finding has `path`, `offset`, `place`, `problem` and `advice`; each snapshot `path`, `frame`, `sequence`,
    `digest` and `bytes`.
    """

@final
class Frames:
    """Frames one by one, and findings between them; a thread reads ahead by a few."""

    def __iter__(self) -> Frames: ...
    def __next__(self) -> dict[str, object]: ...

def inspect(data: str, from_frame: int | None, from_sequence: int | None) -> Frames:
    """Read frames: `number`, `kind`, `epoch`, `stamp_ms`, `first_sequence`, `last_sequence`, `hash`, `records`.

    A finding has `path`, `offset`, `place`, `problem` and `advice`.
    """

@final
class Past:
    @staticmethod
    def replay(data: str, at_ms: int | None, sequence: int | None, progress: Callable[[int, int], None] | None) -> Past:
        """Fold the journal up to a moment, a sequence, or its end; raises CorruptJournal, OSError, ValueError."""

    @property
    def sequence(self) -> int:
        """The last decision that is in it; 0 before the first."""

    @property
    def stamp_ms(self) -> int:
        """When that was decided."""

    def call(self, operation: int, request: bytes) -> tuple[bool, bytes]:
        """Ask one read."""

@final
class Backup:
    @staticmethod
    def open(directory: str) -> Backup:
        """Begin a backup or go on with it; raises CorruptJournal, DirectoryLocked, OSError."""

    def tail(self) -> tuple[int, int, bytes]:
        """Give the last frame as (number, last sequence, hash)."""

    def take(self, frames: Sequence[tuple[int, bytes]]) -> None:
        """Take in frames as (number, content); raises ServerForgot, BackupUnusable, OSError."""

    def keep(self) -> None:
        """Make durable what was taken in of frames; raises OSError."""

    def close(self) -> None:
        """Make durable what was taken in of frames, and release the directory; raises OSError."""

    def snapshot_frame(self) -> int:
        """Give the frame behind which its newest snapshot stands; 0 without one that can be used."""

    def passed(self) -> list[str]:
        """Tell the snapshots that were there as it was opened and cannot be used, each with the reason."""

    def take_snapshot(self, frame: int, content: bytes) -> None:
        """Take in the next bytes of the snapshot behind a frame; with another frame it begins anew."""

    def keep_snapshot(self) -> str | None:
        """Check and keep the snapshot that was taken in; gives the reason where it cannot be used."""

    def discard_snapshot(self) -> None:
        """Throw away what was taken in of a snapshot."""

class _VerifiedBackup(TypedDict):
    pieces: int
    frames: int
    records: int
    last_frame: int
    last_sequence: int
    last_hash: bytes
    snapshots: list[dict[str, object]]
    unfinished: list[str]
    frames_are_whole: bool
    findings: list[dict[str, object]]

def is_backup(directory: str) -> bool:
    """Tell whether a directory holds pieces of a backup, and no journal."""

def verify_backup(directory: str, progress: Callable[[int, int], None] | None) -> _VerifiedBackup:
    """Check all of a backup, as `verify` does a data directory; raises BackupUnusable, OSError."""

class _Restored(TypedDict):
    hub: int
    directory: str
    frames: int
    last_sequence: int
    last_hash: bytes
    epoch: int
    snapshot_frame: int
    passed: list[str]

def restore(
    backup: str, data: str, segment_bytes: int, now_ms: int, progress: Callable[[int, int], None] | None
) -> _Restored:
    """Make a data directory of a backup; raises CorruptJournal, BackupUnusable, OSError, ValueError."""

@final
class FileImport:
    @staticmethod
    def begin(path: str, kind: str, institution: str, operator: str, sequence: int, chain_hash: bytes) -> FileImport:
        """Open a file at its beginning; `sequence` and `chain_hash` are of the hub's newest decision.

        Raises OSError, and ValueError for what is no such file.
        """

    @staticmethod
    def resume(path: str, kind: str, institution: str, operator: str, behind: str) -> FileImport:
        """Open a file where an earlier run came to, by what that run told; raises OSError, ValueError."""

    def next_message(self, now_ms: int) -> tuple[int, bytes] | None:
        """Put together the next BatchSubmitRequest, with its number.

        None where answers must come first, or all is done. Raises ImportStopped, OSError, ValueError.
        """

    def take_answer(self, number: int, answer: bytes) -> None:
        """Take in the encoded BatchSubmitResponse to a message; raises ImportStopped."""

    def take_rejects(self) -> bytes:
        """Give what belongs at the end of the rejects file, once."""

    def behind(self) -> str:
        """Tell what is behind, to go on from; a JSON object."""

    def seen(self) -> tuple[int, bytes]:
        """Give sequence and frame hash of the hub's newest decision that is known."""

    def totals(self) -> dict[str, tuple[int, int]]:
        """Sum up what is behind: rows and fen `imported`, `already` there and `rejected`."""

    def progress(self) -> tuple[int, int]:
        """Tell how much of the file is read, and how much it is."""

    def is_done(self) -> bool:
        """Tell whether nothing is left."""

@final
class FileCheck:
    @staticmethod
    def open(path: str, kind: str) -> FileCheck:
        """Open a file without a hub; raises OSError, ValueError."""

    def step(self) -> bool:
        """Look at some more rows; False at the end."""

    def take_rejects(self) -> bytes:
        """Give what belongs at the end of a rejects file, once."""

    def totals(self) -> dict[str, tuple[int, int]]:
        """Sum up what was seen; as imported counts what is well formed."""

    def progress(self) -> tuple[int, int]:
        """Tell how much of the file was seen, and how much it is."""

def import_fingerprint(path: str, progress: Callable[[int, int], None] | None) -> tuple[int, str]:
    """Give length and BLAKE3 of a file; raises OSError."""

def import_columns(kind: str) -> list[tuple[str, bool, int, bool, str]]:
    """Describe the columns of a kind of file: (name, required, how often it may stand, money, what stands in it)."""

def explain(data: str, id: int) -> list[str] | None:
    """Tell a settlement or an unwind; None where the journal knows neither by this number."""

def reindex(data: str, progress: Callable[[int, int], None] | None) -> tuple[int, int]:
    """Make the records index again in place of the old one; returns frames and records."""

def keyring_create(path: str, kek: str) -> None:
    """Write a key ring with nothing but a key for PINs; an existing file is never replaced."""

def keyring_generate(
    path: str,
    kek: str,
    issuer: str,
    scheme: str,
    key_index: int,
    pan_from: str,
    pan_to: str,
    derivation: str | None,
) -> str:
    """Add a random key; returns its check value in hexadecimal."""

def keyring_import_components(
    path: str,
    kek: str,
    issuer: str,
    scheme: str,
    key_index: int,
    pan_from: str,
    pan_to: str,
    derivation: str | None,
    components: Sequence[bytes],
) -> str:
    """Add the key that the custodians' components make; returns its check value in hexadecimal."""

def keyring_list(path: str, kek: str) -> list[tuple[str, str, int, str, str, str | None, str]]:
    """List the keys as (issuer, scheme, key index, PAN from, PAN to, derivation, check value)."""

def keyring_generate_pin_key(path: str, kek: str) -> str:
    """Add a random key for PINs to a ring that has none and return its check value."""

def keyring_pin_key(path: str, kek: str) -> str | None:
    """Return the check value of the key for PINs, if the ring has one."""

def keyring_import_token_key(path: str, kek: str, name: str, public_key: bytes) -> None:
    """Add an issuer's public key for tokens: 32 bytes of Ed25519."""

def keyring_token_keys(path: str, kek: str) -> list[tuple[str, str]]:
    """List the public keys for tokens as (name, public key in hexadecimal)."""

def keyring_rotate(path: str, kek: str, new_kek: str) -> None:
    """Wrap every key anew under another key-encryption key."""

def forbid_core_dumps() -> None:
    """Keep this process out of core dumps; raises OSError."""
