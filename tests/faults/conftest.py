"""What the faults share: disks of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trial_disks import Disks


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    with Disks(tmp_path) as made:
        yield made
