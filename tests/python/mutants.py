"""Plants the bugs of `tests/rust/mutations.toml`, one at a time, and shows which test catches each: `make mutants`.

Invariant: nothing is planted in the checkout; the copy lies in `target/mutants`.
Exit code 0 if every bug is caught, 1 if one survives, 2 if something could not be run.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "tests" / "rust" / "mutations.toml"
# Beside the copy, because cargo gives what it builds of either the same names.
COPY, BUILT = ROOT / "target" / "mutants", ROOT / "target" / "mutants-built"
HISTORIES = "simulator::as_many_histories_as_were_asked_for"
JOURNAL = ["cargo", "test", "--locked", "--quiet", "--package", "medsettle-engine", "--test", "journal"]
TIMEOUT_S = 900


@dataclass(frozen=True)
class Mutation:
    """One planted bug."""

    name: str
    file: str
    old: str
    new: str
    caught_by: str = "simulator"

    def plant(self, text: str) -> str:
        """Give the text of the file with the bug in it."""
        old, new = self.old.removeprefix("\n").rstrip("\n"), self.new.removeprefix("\n").rstrip("\n")
        if text.count(old) != 1:
            message = f"{self.name}: the text stands {text.count(old)} times in {self.file}"
            raise ValueError(message)
        return text.replace(old, new)


def mutations() -> list[Mutation]:
    """Read the list."""
    return [Mutation(**entry) for entry in tomllib.loads(LIST.read_text())["mutation"]]


def copy_checkout() -> None:
    """Bring the copy to the state of the checkout; what is the same keeps its time, so that little is built anew."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, COPY / name
        if not source.is_file():
            continue
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        elif target.read_bytes() != source.read_bytes():
            # Newer than what was built of it, which may have been a planted bug.
            target.write_bytes(source.read_bytes())


def run(command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    # One mutation is built after the other and run briefly, so what builds fast is fast.
    quick = {"CARGO_PROFILE_DEV_OPT_LEVEL": "0"}
    environment = os.environ | quick | {"CARGO_TARGET_DIR": str(BUILT), "RUST_BACKTRACE": "0"} | settings
    return subprocess.run(
        command, cwd=COPY, env=environment, text=True, capture_output=True, check=False, timeout=TIMEOUT_S
    )


def build() -> Path:
    """Build the tests of the copy; gives their binary."""
    built = run(
        [
            "cargo",
            "test",
            "--locked",
            "--no-run",
            "--package",
            "medsettle-tests",
            "--test",
            "engine",
            "--message-format=short",
        ]
    )
    found = re.search(r"\(([^()]*/engine-[0-9a-f]+)\)", built.stderr)
    if built.returncode or not found:
        raise RuntimeError(built.stderr)
    return COPY / found[1]


def catch(mutation: Mutation, seeds: int) -> str | None:
    """Say what catches the bug, if anything does."""
    if mutation.caught_by == "journal":
        tested = run(JOURNAL)
        failed = re.search(r"^test (\S+) \.\.\. FAILED", tested.stdout, re.M)
        return failed[1] if tested.returncode and failed else None
    if mutation.caught_by == "snapshots":
        tested = run([str(build()), "snapshots::"])
        failed = re.search(r"^test (\S+) \.\.\. FAILED|^(\S+) --- FAILED", tested.stdout, re.M)
        return failed[1] or failed[2] if tested.returncode and failed else None
    tested = run([str(build()), HISTORIES, "--exact", "--ignored", "--nocapture"], MEDSETTLE_SEEDS=str(seeds))
    failed = re.search(r"^seed (\d+) fails", tested.stderr, re.M)
    if not tested.returncode or not failed:
        return None
    said = re.search(r"^thread .* panicked at .*:\n(.*)", tested.stderr, re.M)
    return f"seed {failed[1]}: {said[1] if said else ''}"[:110]


def main() -> int:
    """Plant every bug, or those whose name has the word in it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("word", nargs="?", default="", help="only mutations with this in their name")
    parser.add_argument("--seeds", type=int, default=2_000, help="histories that each may survive")
    asked = parser.parse_args()
    survivors = 0
    try:
        copy_checkout()
        if not asked.word:
            healthy = run([str(build()), HISTORIES, "--exact", "--ignored"], MEDSETTLE_SEEDS="100")
            if healthy.returncode:
                print("the checkout fails without any mutation:", healthy.stdout, file=sys.stderr)
                return 2
        for mutation in mutations():
            if asked.word not in mutation.name:
                continue
            path = COPY / mutation.file
            healthy_text = path.read_text()
            started = time.monotonic()
            try:
                path.write_text(mutation.plant(healthy_text))
                caught = catch(mutation, asked.seeds)
            finally:
                path.write_text(healthy_text)
            survivors += caught is None
            print(f"{mutation.name:<62} {time.monotonic() - started:5.0f} s  {caught or 'SURVIVES'}", flush=True)
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 2
    print("every mutation is caught" if not survivors else f"{survivors} mutations survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
