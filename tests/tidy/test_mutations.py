"""The planted bugs of `tests/rust/mutations.toml` still fit the sources: each has exactly one place there."""

from pathlib import Path

import pytest

from mutants import Mutation, mutations

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_a_planted_bug_still_has_its_one_place(mutation: Mutation) -> None:
    source = (ROOT / mutation.file).read_text()
    assert mutation.plant(source) != source


def test_the_list_names_every_bug_once_and_is_long_enough() -> None:
    names = [mutation.name for mutation in mutations()]
    assert len(set(names)) == len(names) >= 10
    assert sum(mutation.caught_by == "simulator" for mutation in mutations()) >= 10
