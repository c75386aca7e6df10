"""The folder of a trial hub: the demo's authority, key ring and certificates, and the issuer keys of its soft cards.

Invariant: a folder that holds anything else is refused, so that no trial person comes into a hub that serves people.
Leaves out the persons: town.py.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medsettle.auth.actor import Actor
from medsettle.bench.plan import WrongPlan
from medsettle.config import TlsFiles
from medsettle.demo import world
from medsettle.demo.scratch import Scratch

HOSPITAL = Actor(world.HOSPITALS[0].code, frozenset({"HOSPITAL"}))
AGENCY = Actor("AGENCY000001", frozenset({"OPERATOR", "DESK", "ISSUER"}))

SEGMENT_BYTES = 64 << 20
"""Length of a journal segment: made in a moment, and long enough that a run sees a few changes of it and no more."""

_KEYS = "issuer-keys.json"


@dataclass(frozen=True, slots=True)
class Actors:
    """Who asks: the hospital that settles, and the agency that insures people and takes reports of loss."""

    hospital: Actor = HOSPITAL
    agency: Actor = AGENCY


def certificates(scratch: Scratch, actors: Actors) -> dict[str, TlsFiles]:
    """Give each actor's certificate, by institution; one that is there is used again."""
    return {
        actor.institution: scratch.client_tls(actor.institution, *sorted(actor.roles))
        for actor in (actors.hospital, actors.agency)
    }


def make(root: Path) -> Scratch:
    """Make a trial folder that is kept; raises WrongPlan where something else is."""
    if (root / _KEYS).exists():
        raise WrongPlan(f"{root} is a trial folder already: --trial {root} goes on with it")
    if root.exists() and any(root.iterdir()):
        raise WrongPlan(f"{root} is not empty and no trial folder; medsettle bench trial makes one in a new directory")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = Scratch(root, SEGMENT_BYTES)
    path = root / _KEYS
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({scheme: key.hex() for scheme, key in scratch.issuer_keys.items()}, file)
    return scratch


def reopen(root: Path) -> Scratch:
    """Take a trial folder that was made before; raises WrongPlan where there is none."""
    try:
        kept = json.loads((root / _KEYS).read_text())
    except FileNotFoundError:
        raise WrongPlan(f"{root} is no trial folder; medsettle bench trial {root} makes one") from None
    return Scratch.reopened(root, {scheme: bytes.fromhex(key) for scheme, key in kept.items()})


@contextmanager
def opened(root: Path | None) -> Iterator[Scratch]:
    """Take or make a trial folder; without a path one that goes at the end."""
    if root is None:
        with tempfile.TemporaryDirectory(prefix="medsettle-bench-", dir=os.environ.get("MEDSETTLE_BENCH_DIR")) as made:
            yield Scratch(Path(made), SEGMENT_BYTES)
    elif (root / _KEYS).exists():
        yield reopen(root)
    else:
        yield make(root)
