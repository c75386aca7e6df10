"""Requests refused by an alert rule, and those about rules and alerts that are not in order."""

from medsettle.v1 import fraud_pb2, packages_pb2, presentation_pb2
from refusals.scene import Bad, Scene, forbidden_now, malformed, row
from trial_world import GUANGZHOU, JINAN, OPERATOR


def _rules(scene: Scene, region: str = JINAN, **changes: object) -> packages_pb2.PackagesInstallAlertRulesRequest:
    """Install a rule that would be accepted, but for the region or what is changed in it."""
    rule = packages_pb2.AlertRule(kind=packages_pb2.AlertRule.TWO_PLACES, window_hours=6, apart=packages_pb2.Apart.CITY)
    for name, value in changes.items():
        setattr(rule, name, value)
    rules = packages_pb2.AlertRules(region=region, effective_from="2030-01-01", rules=[rule])
    return packages_pb2.PackagesInstallAlertRulesRequest(header=scene.agency.operator.header(), rules=rules)


def _acknowledgement(scene: Scene, alert_id: int, note: str = "seen") -> fraud_pb2.FraudAcknowledgeAlertRequest:
    header = scene.agency.operator.header()
    return fraud_pb2.FraudAcknowledgeAlertRequest(header=header, alert_id=alert_id, note=note)


@forbidden_now("ALERT_RULE_REFUSES")
def a_man_with_a_woman_s_card(scene: Scene) -> Bad:
    request = scene.admission()
    request.holder_check.observed_sex = presentation_pb2.Sex.MALE
    return Bad("Inpatient.Admit", request, {"rule": "SEX_CONFLICT"})


@malformed("holder_check.observed_birth_year")
def a_holder_born_in_the_year_70(scene: Scene) -> Bad:
    request = scene.admission()
    request.holder_check.observed_birth_year = 70
    return Bad("Inpatient.Admit", request)


@malformed("rules", caller=OPERATOR)
def no_rules_at_all(scene: Scene) -> Bad:
    request = _rules(scene)
    request.ClearField("rules")
    return Bad("Packages.InstallAlertRules", request)


@row("PACKAGE_INVALID", "INVALID_ARGUMENT", caller=OPERATOR)
def a_rule_with_a_window_beyond_what_is_kept(scene: Scene) -> Bad:
    problems = '[{"path":"rules[0].window_hours","problem":"must lie between 1 and 744"}]'
    return Bad("Packages.InstallAlertRules", _rules(scene, window_hours=745), {"problems": problems})


@row("PACKAGE_INVALID", "INVALID_ARGUMENT", caller=OPERATOR)
def a_rule_that_only_the_hub_itself_may_raise(scene: Scene) -> Bad:
    problems = '[{"path":"rules[0].kind","problem":"is raised by the hub itself and is no rule"}]'
    kind = packages_pb2.AlertRule.WRONG_CRYPTOGRAMS
    return Bad("Packages.InstallAlertRules", _rules(scene, kind=kind), {"problems": problems})


@row("PACKAGE_INVALID", "INVALID_ARGUMENT", caller=OPERATOR)
def rules_of_no_kind_for_no_day(scene: Scene) -> Bad:
    request = _rules(scene, kind=packages_pb2.AlertRule.UNSPECIFIED)
    request.rules.effective_from = "2030-02-30"
    problems = (
        '[{"path":"effective_from","problem":"is no day of the calendar as YYYY-MM-DD"},'
        '{"path":"rules[0].kind","problem":"is missing"}]'
    )
    return Bad("Packages.InstallAlertRules", request, {"problems": problems})


@forbidden_now("NOT_HOME_OF_REGION", caller=OPERATOR)
def rules_for_a_region_of_another_hub(scene: Scene) -> Bad:
    return Bad("Packages.InstallAlertRules", _rules(scene, region=GUANGZHOU), {"region": GUANGZHOU})


@row("ALERT_UNKNOWN", "NOT_FOUND", caller=OPERATOR)
def an_alert_that_was_never_raised(scene: Scene) -> Bad:
    return Bad("Fraud.AcknowledgeAlert", _acknowledgement(scene, 4_711), {"alert_id": "4711"})


@forbidden_now("ALERT_ACKNOWLEDGED", caller=OPERATOR)
def an_alert_that_was_looked_at_before(scene: Scene) -> Bad:
    metadata = {"alert_id": str(scene.acknowledged_alert)}
    return Bad("Fraud.AcknowledgeAlert", _acknowledgement(scene, scene.acknowledged_alert), metadata)


@malformed("alert_id", caller=OPERATOR)
def a_look_at_no_alert(scene: Scene) -> Bad:
    return Bad("Fraud.AcknowledgeAlert", _acknowledgement(scene, 0))


@malformed("note", caller=OPERATOR)
def a_look_without_a_word(scene: Scene) -> Bad:
    return Bad("Fraud.AcknowledgeAlert", _acknowledgement(scene, scene.open_alert, note=""))


@malformed("header.operator", caller=OPERATOR)
def a_look_by_nobody(scene: Scene) -> Bad:
    request = _acknowledgement(scene, scene.open_alert)
    request.header.operator = ""
    return Bad("Fraud.AcknowledgeAlert", request)


@malformed("institution_code", caller=OPERATOR)
def alerts_of_an_institution_that_cannot_be(scene: Scene) -> Bad:
    return Bad("Fraud.ListAlerts", fraud_pb2.FraudListAlertsRequest(institution_code="h"))


@row("ROLE_FORBIDDEN", "PERMISSION_DENIED")
def a_hospital_that_reads_alerts(scene: Scene) -> Bad:
    return Bad("Fraud.ListAlerts", fraud_pb2.FraudListAlertsRequest())
