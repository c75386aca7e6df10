"""Counts of what the service answered, for the operator's status and metrics."""

from collections import Counter
from collections.abc import Mapping


class Counters:
    """Calls by method and outcome, and calls in flight; one per service, used from its event loop alone.

    An outcome is "OK", a reason of the catalog, or the transport's own "CANCELLED" and "DEADLINE_EXCEEDED".
    """

    def __init__(self) -> None:
        self._answered: Counter[tuple[str, str]] = Counter()
        self.in_flight = 0

    def answered(self, method: str, outcome: str) -> None:
        """Count one answer."""
        self._answered[method, outcome] += 1

    def snapshot(self) -> Mapping[tuple[str, str], int]:
        """Copy the counts by (method, outcome)."""
        return dict(self._answered)
