"""Alert rules through an embedded hub: a package in JSON, what a thief sets off, and who looks at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import Rejected, jsonform
from medsettle.v1 import fraud_pb2, operations_pb2, packages_pb2, presentation_pb2, visits_pb2
from trial_town import Town
from trial_visits import OUTPATIENT, PURCHASE, Counter
from trial_world import AUDITOR, JINAN, OPERATOR, Caller, Patient, days_ago, line

MAN_OF_1950 = presentation_pb2.HolderCheck(
    method=presentation_pb2.HolderCheck.PHOTO, observed_sex=presentation_pb2.Sex.MALE, observed_birth_year=1950
)
RULES = {
    "region": JINAN,
    "effective_from": "2015-01-01",
    "rules": [
        {"kind": "SEX_CONFLICT"},
        {"kind": "AGE_CONFLICT", "tolerance_years": 10},
        {"kind": "MANY_INSTITUTIONS", "window_hours": 72, "count": 2},
        {"kind": "NEAR_CAP", "ratio_bp": 9000},
    ],
}
HARD = {
    "region": JINAN,
    "effective_from": "2015-01-02",
    "rules": [{"kind": "AGE_CONFLICT", "hard": True, "tolerance_years": 10}, {"kind": "SEX_CONFLICT"}],
}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(tmp_path)
    with opened.hub:
        yield opened


@pytest.fixture
def operator() -> Caller:
    return Caller(OPERATOR, "alerts-")


def install(town: Town, operator: Caller, data: object) -> bytes:
    rules = jsonform.parse(packages_pb2.AlertRules, data)
    request = packages_pb2.PackagesInstallAlertRulesRequest(header=operator.header(), rules=rules)
    return town.acting(OPERATOR).packages.install_alert_rules(request).package_hash


def claim(
    counter: Counter, patient: Patient, fen: int, check: presentation_pb2.HolderCheck | None = None
) -> visits_pb2.VisitsSettleRequest:
    bill = line(1, days_ago(0), "1", f"{fen // 100}.{fen % 100:02d}")
    request = counter.settlement(patient.card_at_settlement(fen), bill)
    if check is not None:
        request.holder_check.CopyFrom(check)
    return request


def alerts(town: Town, **filters: object) -> list[fraud_pb2.Alert]:
    request = fraud_pb2.FraudListAlertsRequest(**filters)  # type: ignore[arg-type]
    return list(town.hub.acting(["AUDITOR"], AUDITOR).fraud.list_alerts(request).alerts)


def kinds(shown: list[fraud_pb2.Alert]) -> list[str]:
    return [packages_pb2.AlertRule.Kind.Name(alert.kind) for alert in shown]


def test_what_the_thief_of_the_story_does_is_seen_from_his_first_purchase(town: Town, operator: Caller) -> None:
    package = install(town, operator, RULES)
    victim, pharmacy, hospital = town.insured(), Counter(PURCHASE), Counter(OUTPATIENT)
    first = town.at(pharmacy).visits.settle(claim(pharmacy, victim, 20_000, MAN_OF_1950))
    second = town.at(hospital).visits.settle(claim(hospital, victim, 990_909 - 20_000))
    assert [len(settled.alert_ids) for settled in (first, second)] == [2, 2]
    shown = alerts(town)
    assert kinds(shown) == ["SEX_CONFLICT", "AGE_CONFLICT", "MANY_INSTITUTIONS", "NEAR_CAP"]
    assert [alert.alert_id for alert in shown] == [*first.alert_ids, *second.alert_ids]
    assert {(alert.person_id, alert.card_id, alert.package_hash) for alert in shown} == {
        (victim.person_id, victim.card_id, package)
    }
    assert shown[1].settlement_id == first.settlement_id
    assert shown[1].text == "someone born about 1950 was seen, 30 years from 1980 as documented"
    assert shown[3].text == "5450.00 of 5500.00 used of the limit of POOL in " + str(days_ago(0).year)
    assert kinds(alerts(town, institution_code=hospital.institution)) == kinds(shown[2:])
    assert kinds(alerts(town, kind=packages_pb2.AlertRule.NEAR_CAP)) == ["NEAR_CAP"]
    town.hub.close()
    town.hub = town.open()
    assert alerts(town) == shown


def test_an_alert_is_acknowledged_once_and_still_read_by_whoever_asks_for_it(town: Town, operator: Caller) -> None:
    install(town, operator, RULES)
    patient, pharmacy = town.insured(), Counter(PURCHASE)
    settled = town.at(pharmacy).visits.settle(claim(pharmacy, patient, 1_000, MAN_OF_1950))
    fraud = town.acting(OPERATOR).fraud
    request = fraud_pb2.FraudAcknowledgeAlertRequest(
        header=operator.header(), alert_id=settled.alert_ids[0], note="her father, who fetched her medicine"
    )
    fraud.acknowledge_alert(request)
    assert kinds(alerts(town, person_id=patient.person_id)) == ["AGE_CONFLICT"]
    seen = alerts(town, include_acknowledged=True)[0]
    assert (seen.acknowledged, seen.acknowledged_by, seen.note) == (True, "test", request.note)
    assert fraud.acknowledge_alert(request).header.replayed, "asked again, it is the first answer"
    request.header.CopyFrom(operator.header())
    with pytest.raises(Rejected, match="ALERT_ACKNOWLEDGED") as refusal:
        fraud.acknowledge_alert(request)
    assert refusal.value.detail == {"alert_id": str(settled.alert_ids[0])}


def test_a_hard_rule_refuses_before_anything_is_settled_and_names_itself(town: Town, operator: Caller) -> None:
    install(town, operator, RULES)
    install(town, operator, HARD)
    patient, pharmacy = town.insured(), Counter(PURCHASE)
    status = town.acting(OPERATOR).operations.status
    before = status(operations_pb2.OperationsStatusRequest()).header.sequence
    with pytest.raises(Rejected, match="ALERT_RULE_REFUSES") as refusal:
        town.at(pharmacy).visits.settle(claim(pharmacy, patient, 1_000, MAN_OF_1950))
    assert refusal.value.detail == {"rule": "AGE_CONFLICT"}
    assert (status(operations_pb2.OperationsStatusRequest()).header.sequence, alerts(town)) == (before, [])
    settled = town.at(pharmacy).visits.settle(claim(pharmacy, patient, 1_000))
    assert list(settled.alert_ids) == []


def test_a_package_of_rules_is_read_back_as_it_was_written(town: Town, operator: Caller) -> None:
    package = install(town, operator, RULES)
    packages = town.acting(OPERATOR).packages
    read = packages.get(packages_pb2.PackagesGetRequest(package_hash=package)).alert_rules
    assert read == jsonform.parse(packages_pb2.AlertRules, RULES)
    assert jsonform.parse(packages_pb2.AlertRules, jsonform.to_json(read)) == read
    [row] = [
        row
        for row in packages.list(packages_pb2.PackagesListRequest(region=JINAN)).packages
        if row.kind == packages_pb2.PackageSummary.ALERT_RULES
    ]
    assert (row.package_hash, row.region, row.effective_from) == (package, JINAN, "2015-01-01")
    with pytest.raises(Rejected, match="PACKAGE_CONFLICTS") as refusal:
        install(town, operator, {**RULES, "rules": []})
    assert refusal.value.detail == {"package_hash": package.hex()}
