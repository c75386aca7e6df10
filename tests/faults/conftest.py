"""What the faults share: disks of a test, and what they need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trial_disks import Disks, need


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    with Disks(tmp_path) as made:
        yield made


@pytest.fixture
def strace() -> None:
    """Skip where calls cannot be injected, before anything is started."""
    need("strace")
