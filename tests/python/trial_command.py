"""The command line in this process: what it printed, and how it ended."""

from collections.abc import Callable
from typing import NamedTuple


class Outcome(NamedTuple):
    """What a command leaves its user."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]
"""Runs a command with its words as arguments, each as its text."""
