"""Where a figure was measured, and the floor under every commit: bare `fdatasync` on the same file system.

Owns the scratch directory of the benchmarks; `MEDSETTLE_BENCH_DIR` chooses its file system.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

FLOOR = "bare fdatasync"
"""The name of the floor's row."""

BLOCK_BYTES = 4096
"""What one frame with one settlement takes on disk."""

_FILE_BYTES = 16 << 20


def machine_line(directory: Path) -> str:
    """Describe processor, cores, kernel, the file system of the directory, and what else was running."""
    return (
        f"machine: {_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}, "
        f"{_file_system(directory)}, Python {platform.python_version()}, load {os.getloadavg()[0]:.2f}"
    )


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a directory on the file system to be measured, and remove it at the end."""
    root = Path(tempfile.mkdtemp(prefix="medsettle-bench-", dir=os.environ.get("MEDSETTLE_BENCH_DIR")))
    try:
        yield root
    finally:
        shutil.rmtree(root)


class Floor:
    """A zero-filled file of which one block after the other is written and synced; a context manager.

    The place of a block is chosen without a lock, so threads may share a file: two that write the same block cost
    what two that write neighbours cost.
    """

    def __init__(self, directory: Path) -> None:
        self._block = bytes(range(256)) * (BLOCK_BYTES // 256)
        self._offset = 0
        self._file = os.open(directory / "floor", os.O_RDWR | os.O_CREAT, 0o600)
        for offset in range(0, _FILE_BYTES, 1 << 20):
            os.pwrite(self._file, bytes(1 << 20), offset)
        os.fsync(self._file)

    def commit(self) -> None:
        """Write one block and make it durable."""
        self._offset = (self._offset + BLOCK_BYTES) % _FILE_BYTES
        os.pwrite(self._file, self._block, self._offset)
        os.fdatasync(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._file)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(directory: Path) -> str:
    """Give type and device of the mount with the longest path above the directory."""
    resolved = directory.resolve()
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    above = [(point, kind, device) for device, point, kind, *_ in mounts if resolved.is_relative_to(point)]
    _, kind, device = max(above, key=lambda mount: len(mount[0]))
    return f"{kind} on {device}"
