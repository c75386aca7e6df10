"""The table of requests that a hub must refuse: each row a request, its caller, reason, status and the field at fault.

Leaves out how a row is sent and what must hold of its refusal: e2e/test_bad_input.py.
"""

from refusals import accounts, alerts, cards, desk, fraud, messages, stays
from refusals.scene import MESSAGE_BYTES, TABLE, Row, Scene

__all__ = [
    "MESSAGE_BYTES",
    "TABLE",
    "Row",
    "Scene",
    "accounts",
    "alerts",
    "cards",
    "desk",
    "fraud",
    "messages",
    "stays",
]
