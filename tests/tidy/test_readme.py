"""The README tells the truth about what is not there yet."""

import re
from pathlib import Path

from medsettle import Hub, Rejected
from medsettle.v1.facade import METHODS

ROOT = Path(__file__).parents[2]
ROLES = ["HOSPITAL", "PHARMACY", "DESK", "ISSUER", "OPERATOR", "AUDITOR", "HUB"]


def _refused_as_not_available(hub: Hub) -> set[str]:
    everybody = hub.acting(roles=ROLES, institution="H11010500001")
    refused = set()
    for name, method in METHODS.items():
        if method.client_streaming or method.server_streaming:
            if not method.page_operation:
                refused.add(name)
        elif method.operation:
            try:
                everybody.call(name, method.request_type())
            except Rejected as refusal:
                if refusal.reason == "METHOD_NOT_AVAILABLE":
                    refused.add(name)
    return refused


def test_the_readme_lists_exactly_the_methods_that_are_not_served_yet(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().split("## Not there yet", 1)[1].split("\n## ", 1)[0]
    listed = {name for name in re.findall(r"`(\w+\.\w+)`", section) if name in METHODS}
    with Hub.open(tmp_path / "data") as hub:
        assert listed == _refused_as_not_available(hub)
