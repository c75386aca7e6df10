"""The README tells the truth about what is not there yet, and its repair of a theft works as it is written."""

import re
from pathlib import Path
from typing import Any

import pytest

from medsettle import Hub, Rejected
from medsettle.hub import Acting
from medsettle.v1 import common_pb2
from medsettle.v1.facade import METHODS
from trial_town import Town
from trial_visits import PURCHASE, Counter
from trial_world import DESK, OPERATOR, days_ago, line, make_chip

ROOT = Path(__file__).parents[2]
ROLES = ["HOSPITAL", "PHARMACY", "DESK", "ISSUER", "OPERATOR", "AUDITOR", "HUB"]


def _refused_as_not_available(hub: Hub) -> set[str]:
    everybody = hub.acting(roles=ROLES, institution="H11010500001")
    refused = set()
    for name, method in METHODS.items():
        if method.operation:
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


def test_the_readmes_repair_of_a_theft_gives_everything_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = (ROOT / "README.md").read_text().split("## After a theft", 1)[1].split("\n## ", 1)[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    town = Town(tmp_path)
    with town.hub:
        patient, counter = town.insured(10_000), Counter(PURCHASE)
        bought = counter.settlement(patient.card_at_settlement(10_000, 1_500), line(1, days_ago(0), "1", "100"))
        theft = town.at(counter).visits.settle(bought)
        desk, operator, chip = town.acting(DESK), town.acting(OPERATOR), make_chip(77_777)
        headers = {id(desk): town.agency.desk.header, id(operator): town.agency.operator.header}

        def header(whose: Acting) -> common_pb2.RequestHeader:
            return headers[id(whose)]()

        numbers = ("pan", "sequence_number", "card_sn", "key_index")
        names: dict[str, Any] = {
            "desk": desk,
            "operator": operator,
            "header": header,
            "holder": patient.certificate,
            "stolen": patient.card_id,
            "stolen_ms": 1,
            "her_own": [],
            "made": {name: getattr(chip, name) for name in numbers} | {"scheme": "PBOC_SM4"},
        }
        exec(example, names)
        effect = names["unwound"].effect
        assert list(effect.reversed_settlement_ids) == [theft.settlement_id]
        assert (effect.balance_restored_fen, str(theft.settlement_id) in capsys.readouterr().out) == (1_500, True)
