"""The README tells the truth about what is not there yet, and its examples work as they are written."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import medsettle
from medsettle import Hub, NoAnswer, Rejected
from medsettle.hub import Acting
from medsettle.v1 import batch_pb2, common_pb2
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


class Breaking:
    """An embedded hub whose first stream breaks behind as many answers."""

    def __init__(self, hub: Acting, answers: int) -> None:
        self.batch, self._hub, self._left = self, hub, answers

    def stream(self, messages: list[batch_pb2.BatchStreamRequest]) -> Iterator[batch_pb2.BatchStreamResponse]:
        for answer in self._hub.batch.stream(messages):
            if not self._left:
                self._left = -1
                raise NoAnswer("UNAVAILABLE", "the line is gone")
            self._left -= 1
            yield answer


def test_the_readmes_stream_of_batches_answers_everything_once_though_it_breaks(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().split("## Send many at once", 1)[1].split("\n## ", 1)[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    town = Town(tmp_path)
    with town.hub:
        patient = town.agency.insure()
        credits = [town.agency.credit_request(patient, 1, str(number)) for number in range(950)]
        hub = Breaking(town.acting(OPERATOR), 4)
        names: dict[str, Any] = {"medsettle": medsettle, "hub": hub, "credits": credits}
        exec(example, names)
        replayed = [result.accounts_credit.header.replayed for result in names["results"]]
        balances_fen = [result.accounts_credit.balance_fen for result in names["results"]]
    assert replayed == [False] * 400 + [True] * 100 + [False] * 450
    assert balances_fen == list(range(1, 951))


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
