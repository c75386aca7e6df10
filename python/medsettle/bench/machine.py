"""Where a figure was measured, what processor time it took, and the floor under every commit: bare `fdatasync`.

Invariant: times of threads are the kernel's count in nanoseconds; those of other processes its ticks of 10 ms.
"""

import os
import platform
import threading
import time
from pathlib import Path
from typing import Self

BLOCK_BYTES = 4096
"""What one frame with one settlement takes on disk."""

_FILE_BYTES = 4 << 20
_NS = 1_000_000_000


def machine_line(directory: Path | None) -> str:
    """Describe processor, cores, kernel, what else was running, and the file system of a directory."""
    system = "" if directory is None else f"{_file_system(directory)}, "
    return (
        f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}, "
        f"{system}Python {platform.python_version()}, load {os.getloadavg()[0]:.2f}"
    )


class Floor:
    """A zero-filled file of which one block after the other is written and synced; a context manager."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "floor"
        self._block = bytes(range(256)) * (BLOCK_BYTES // 256)
        self._offset = 0
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        for offset in range(0, _FILE_BYTES, 1 << 20):
            os.pwrite(self._file, bytes(1 << 20), offset)
        os.fsync(self._file)

    def commit(self) -> None:
        """Write one block and make it durable."""
        self._offset = (self._offset + BLOCK_BYTES) % _FILE_BYTES
        os.pwrite(self._file, self._block, self._offset)
        os.fdatasync(self._file)

    def latencies_us(self, calls: int) -> list[int]:
        """Commit one after the other and give how long each took."""
        taken = []
        for _ in range(calls):
            begin_ns = time.perf_counter_ns()
            self.commit()
            taken.append((time.perf_counter_ns() - begin_ns) // 1_000)
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._file)
        self._path.unlink()


class EngineThreads:
    """The threads of an engine in this process: those that came with it and are not Python's."""

    def __init__(self) -> None:
        """Note the threads that are there before the engine is."""
        self._before = _thread_ids()

    def spent_ns(self) -> int:
        """Read the processor time that they have taken."""
        python = {thread.native_id for thread in threading.enumerate()}
        return sum(_thread_ns(number) for number in _thread_ids() - self._before - python)


def own_spent_ns() -> int:
    """Read the processor time of this process, all threads."""
    return time.process_time_ns()


def process_spent_ns(process_id: int) -> int:
    """Read the processor time of another process, all threads; raises OSError when it is gone."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * (_NS // os.sysconf("SC_CLK_TCK"))


def _thread_ids() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/task")}


def _thread_ns(number: int) -> int:
    try:
        return int(Path(f"/proc/self/task/{number}/schedstat").read_text().split()[0])
    except FileNotFoundError:
        return 0


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
