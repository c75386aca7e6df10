"""What a policy package pays for a case, and what is wrong with a package, without a hub.

Owns the what-if functions for the people who write packages; the rules themselves are the engine's own code.
Leaves out reading JSON: `jsonform.py`.
"""

from medsettle import _core, jsonform
from medsettle.errors import decoded_refusal
from medsettle.jsonform import Problem
from medsettle.v1 import common_pb2, packages_pb2


def quote(
    policy: packages_pb2.BenefitPolicy, case: packages_pb2.QuoteCase
) -> tuple[common_pb2.Split, common_pb2.Accumulators]:
    """Return the split of the case's bill and the accumulators after it, of the year of discharge.

    From JSON data: `jsonform.parse(packages_pb2.BenefitPolicy, data)`. Raises Rejected with the reason a hub would
    give, such as NO_RULE, FILING_MISSING or PACKAGE_INVALID.
    """
    result = quote_result(policy, case)
    return result.split, result.accumulators_after


def quote_result(policy: packages_pb2.BenefitPolicy, case: packages_pb2.QuoteCase) -> packages_pb2.QuoteResult:
    """Quote as `quote` does, and tell the balance after the case and every year's accumulators too."""
    ok, answer = _core.benefit_quote(policy.SerializeToString(), case.SerializeToString())
    if not ok:
        raise decoded_refusal(answer)
    return packages_pb2.QuoteResult.FromString(answer)


def policy_problems(data: object) -> list[Problem]:
    """Check the JSON data of a policy: first its form against the contract, then, if that is right, its rules."""
    if problems := jsonform.problems(packages_pb2.BenefitPolicy, data):
        return problems
    policy = jsonform.parse(packages_pb2.BenefitPolicy, data)
    return [Problem(*problem) for problem in _core.policy_problems(policy.SerializeToString())]


def catalogue_problems(data: object) -> list[Problem]:
    """Check the JSON data of a catalogue as `policy_problems` checks a policy's."""
    if problems := jsonform.problems(packages_pb2.Catalogue, data):
        return problems
    catalogue = jsonform.parse(packages_pb2.Catalogue, data)
    return [Problem(*problem) for problem in _core.catalogue_problems(catalogue.SerializeToString())]


def alert_rules_problems(data: object) -> list[Problem]:
    """Check the JSON data of a package of alert rules as `policy_problems` checks a policy's."""
    if problems := jsonform.problems(packages_pb2.AlertRules, data):
        return problems
    rules = jsonform.parse(packages_pb2.AlertRules, data)
    return [Problem(*problem) for problem in _core.alert_rules_problems(rules.SerializeToString())]
