"""A limit of memory for a process of a test, by a control group.

Invariant: the group lies below the test's own, holds only what the test starts in it, and is removed at the end.
Invariant: what the machine does not allow skips the test with the reason.
"""

import time
from pathlib import Path
from typing import Self

import pytest

from trial_disks import need

ROOT = Path("/sys/fs/cgroup")
EMPTY_S = 10


class MemoryLimit:
    """A control group; a context manager."""

    def __init__(self, name: str) -> None:
        need("sh")
        groups: dict[str, str] = {}
        for row in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = row.split(":", 2)
            groups[controllers] = path
        # Version 1 has a hierarchy for memory; version 2 has one for everything.
        self._version = 1 if "memory" in groups else 2
        own = ROOT / ("memory" if self._version == 1 else "") / groups.get("memory", groups.get("", "/")).lstrip("/")
        self._group = own / name

    @property
    def launcher(self) -> tuple[str, ...]:
        """Give the command that starts another in the group."""
        return "sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self._group / "cgroup.procs")

    def used_bytes(self) -> int:
        """Read what the processes hold themselves, without what the page cache could give back."""
        rows = dict(row.split() for row in (self._group / "memory.stat").read_text().splitlines())
        return int(rows["total_rss" if self._version == 1 else "anon"])

    def set(self, limit_bytes: int) -> None:
        """Allow no more than that from now on."""
        name = "memory.limit_in_bytes" if self._version == 1 else "memory.max"
        (self._group / name).write_text(str(limit_bytes))

    def kills(self) -> int:
        """Count the processes of the group that the kernel has killed for want of memory."""
        name = "memory.oom_control" if self._version == 1 else "memory.events"
        rows = dict(row.split() for row in (self._group / name).read_text().splitlines())
        return int(rows["oom_kill"])

    def __enter__(self) -> Self:
        try:
            self._group.mkdir()
            if not (self._group / "memory.stat").exists():
                (self._group.parent / "cgroup.subtree_control").write_text("+memory")
        except OSError as error:
            if self._group.is_dir():
                self._group.rmdir()
            pytest.skip(f"a control group for memory cannot be made here: {error}")
        return self

    def __exit__(self, *error: object) -> None:
        until_s = time.monotonic() + EMPTY_S
        while True:
            try:
                self._group.rmdir()
            except OSError:
                # The kernel still counts a process that has just ended.
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.05)
            else:
                return
