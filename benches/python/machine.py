"""Where a figure was measured, and the floor under every commit: bare `fdatasync` on the same file system.

Owns the scratch directory of the benchmarks; `MEDSETTLE_BENCH_DIR` chooses its file system.
Leaves out how either is found: as `medsettle bench` does it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medsettle.bench import machine
from medsettle.bench.machine import Floor

__all__ = ["FLOOR", "Floor", "machine_line", "scratch_directory"]

FLOOR = "bare fdatasync"
"""The name of the floor's row."""


def machine_line(directory: Path) -> str:
    """Describe processor, cores, kernel, the file system of the directory, and what else was running."""
    return f"machine: {machine.machine_line(directory)}"


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a directory on the file system to be measured, and remove it at the end."""
    root = Path(tempfile.mkdtemp(prefix="medsettle-bench-", dir=os.environ.get("MEDSETTLE_BENCH_DIR")))
    try:
        yield root
    finally:
        shutil.rmtree(root)
