"""Settings of a hub, from keyword arguments or from the TOML file behind `--config`.

Owns the names of the settings. What is not set is left to the engine, which names its bounds with their reasons.
Invariant: an unknown name or a value of the wrong type is refused, never ignored.
"""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from os import PathLike
from typing import Self

START_METADATA_KEY = "medsettle-start"
"""Metadata of every answer: which start of a hub gave it, so that a client notices that another one answers."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine can be told; None leaves the engine's own value.

    `hub_number` is part of every id that the hub gives, and is fixed by the first opening of a data directory.
    `segment_bytes` is the length of new journal segments, `queue_commands` how many commands may wait, `seal_after_ms`
    after which idle time the journal is sealed. `snapshot_segments` is how many segments are begun between two
    snapshots; 0 leaves them to `Operations.Snapshot`. `archive` is the directory for segments that no start needs any
    more; without it they stay, compressed, in the data directory. `cores` binds the threads that prepare, decide,
    encode and write to cores of the machine, in this order; the system places those for which none is named.
    """

    hub_number: int = 1
    segment_bytes: int | None = None
    queue_commands: int | None = None
    seal_after_ms: int | None = None
    snapshot_segments: int | None = None
    archive: str | None = None
    cores: Sequence[int] | None = None

    def __post_init__(self) -> None:
        for name in ("hub_number", "segment_bytes", "queue_commands", "seal_after_ms"):
            _check_number(name, getattr(self, name), least=1)
        _check_number("snapshot_segments", self.snapshot_segments, least=0)
        if self.archive is not None and not (isinstance(self.archive, str) and self.archive):
            raise ValueError(f"archive must be the path of a directory, not {self.archive!r}")
        if self.cores is not None and not isinstance(self.cores, list | tuple):
            raise ValueError(f"cores must be a list of core numbers, not {self.cores!r}")
        for core in self.cores or ():
            _check_number("cores", core, least=0)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read the table `[engine]` of a TOML file; raises OSError or ValueError."""
        with open(path, "rb") as file:
            document = tomllib.load(file)
        if unknown := sorted(document.keys() - {"engine"}):
            raise ValueError(f"{path}: unknown table or setting {', '.join(unknown)}; the table is [engine]")
        table = document.get("engine", {})
        if not isinstance(table, dict):
            raise ValueError(f"{path}: engine must be a table")
        known = [field.name for field in fields(cls)]
        if unknown := sorted(table.keys() - set(known)):
            raise ValueError(f"{path}: unknown setting {', '.join(unknown)}; known are {', '.join(known)}")
        try:
            return cls(**table)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def to_json(self) -> str:
        """Give the settings that are set, as the engine reads them."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})


def _check_number(name: str, value: object, least: int) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        kind = "positive whole number" if least else "whole number, 0 or more"
        raise ValueError(f"{name} must be a {kind}, not {value!r}")


ACTOR_METADATA_KEY = "medsettle-actor"
"""Metadata key under which a caller without TLS, on loopback, names its actor as certificates do in their URI."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one side of mutual TLS: the authority that both trust, the own certificate and its key."""

    ca: str | PathLike[str]
    cert: str | PathLike[str]
    key: str | PathLike[str]
