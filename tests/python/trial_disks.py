"""File systems of a test: images behind loop devices whose power can be cut, and memory that can be enlarged.

Invariant: only what was mounted here is unmounted, and all of it, whatever happened.
Invariant: what the machine does not allow skips the test with the reason.
"""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

MIB = 1 << 20
GOINGDOWN = 0x8004587D
"""XFS_IOC_GOINGDOWN, and by another name EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)."""
NOLOGFLUSH = 2
"""Not even the file system's own journal is written out: all that no sync asked for is gone."""

MAKE = {"ext4": ("mkfs.ext4", "-q", "-m", "0"), "xfs": ("mkfs.xfs", "-q")}
IMAGE_BYTES = {"ext4": 768 * MIB, "xfs": 832 * MIB}
"""The smallest that mkfs.xfs makes is 300 MiB; the files are sparse."""


def need(*commands: str, root: bool = True) -> None:
    """Skip the test unless the commands are there and, if needed, the user is root."""
    if root and os.geteuid() != 0:
        pytest.skip("not root")
    if missing := [command for command in commands if shutil.which(command) is None]:
        pytest.skip(f"not found: {', '.join(missing)}")


@dataclass(frozen=True)
class Disk:
    """A mounted file system."""

    path: Path
    source: Sequence[str]
    """What to mount, and how."""

    def mount(self) -> None:
        mounted = _run("mount", *self.source, str(self.path))
        if mounted.returncode:
            pytest.skip(f"mounting is not possible here: {mounted.stderr.strip()}")

    def unmount(self) -> None:
        ended = _run("umount", str(self.path))
        assert ended.returncode == 0, ended.stderr

    def cut_power(self) -> None:
        """Lose what was not synced, as when the power fails; every later write on it fails."""
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(directory, GOINGDOWN, struct.pack("=I", NOLOGFLUSH))
        finally:
            os.close(directory)

    def power_on(self) -> None:
        """Mount it again as a machine does that starts; nobody may have a file of it open."""
        self.unmount()
        self.mount()

    def enlarge(self, size: int) -> None:
        """Give a file system in memory more room."""
        resized = _run("mount", "-o", f"remount,size={size}", str(self.path))
        assert resized.returncode == 0, resized.stderr


class Disks:
    """Makes the disks of a test and takes them away; a context manager."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cleanup = ExitStack()

    def image(self, kind: str) -> Disk:
        """Make a file system of that kind in a file behind a loop device."""
        need("mount", "umount", "losetup", MAKE[kind][0])
        if not Path("/dev/loop-control").exists():
            pytest.skip("not found: /dev/loop-control")
        image = self._root / f"{kind}.image"
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES[kind])
        made = _run(*MAKE[kind], str(image))
        assert made.returncode == 0, made.stderr
        return self._mounted(kind, ("-t", kind, "-o", "loop", str(image)))

    def memory(self, size: int) -> Disk:
        """Make a file system in memory."""
        need("mount", "umount")
        return self._mounted("memory", ("-t", "tmpfs", "-o", f"size={size}", "medsettle-tests"))

    def _mounted(self, name: str, source: Sequence[str]) -> Disk:
        disk = Disk(self._root / name, source)
        disk.path.mkdir()
        disk.mount()
        self._cleanup.callback(self._take_away, disk)
        return disk

    def _take_away(self, disk: Disk) -> None:
        # A test that failed may have left it unmounted, or in use by a process that is just ending.
        if os.path.ismount(disk.path) and _run("umount", str(disk.path)).returncode:
            _run("umount", "--lazy", str(disk.path))

    def __enter__(self) -> "Disks":
        return self

    def __exit__(self, *error: object) -> None:
        self._cleanup.close()


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False)
