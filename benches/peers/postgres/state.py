"""What the tables hold before anything is settled: the demo's packages, one hospital, and people with cards.

Owns the way from a package of the hub to rows; a package that says what the tables cannot is refused.
Leaves out the tables themselves and the function: schema.sql, settle.sql.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Cluster

from medsettle.demo import world
from medsettle.demo.agency import INSURED_SINCE

HERE = Path(__file__).parent

LEVEL = "THREE"
CATEGORIES = ("ACTIVE", "RETIRED")
FIRST_PAN = 9156300000000000
"""The PAN of the n-th person of the load is this and n: the issuer of the demo's newer cards."""


class NotForTables(ValueError):
    """A package uses a rule for which there is no table."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with a card, by the number on it."""

    pan: int
    balance_fen: int = 0
    state: str = "IN_USE"


def furnish(cluster: Cluster, policy: Any, holders: Sequence[Holder]) -> None:
    """Make the tables and fill them, with one policy for visits; raises NotForTables."""
    for name in ("schema.sql", "settle.sql"):
        cluster.sql((HERE / name).read_text("utf-8"))
    hospital, province = world.HOSPITALS[0], world.JINAN
    cluster.sql(f"INSERT INTO institution VALUES ('{hospital.code}', '{LEVEL}', true);\n")
    cluster.sql(_items(world.package(province.catalogue), province.insurance))
    cluster.sql(_policy(policy))
    people = range(1, len(holders) + 1)
    insured = (province.region, province.insurance, province.category, INSURED_SINCE)
    cluster.copy("person", ((number, *insured) for number in people))
    cluster.copy("account", ((number, one.balance_fen) for number, one in zip(people, holders, strict=True)))
    cluster.copy("card", ((one.pan, number, one.state, 0) for number, one in zip(people, holders, strict=True)))
    cluster.sql("VACUUM ANALYZE; CHECKPOINT;")


def _items(catalogue: Any, insurance: str) -> str:
    rows = []
    for item in catalogue["items"]:
        ceilings = {ceiling["level"]: ceiling["price"] for ceiling in item.get("ceilings", [])}
        first_pay = {rule["insurance_type"]: rule["first_pay_bp"] for rule in item.get("first_pay", [])}
        ceiling = ceilings.get(LEVEL, "NULL")
        rows.append(f"('{item['code']}', '{item['class']}', {ceiling}, {first_pay.get(insurance, 0)})")
    return f"INSERT INTO item VALUES {', '.join(rows)};\n"


def _policy(policy: Any) -> str:
    (layer, *others) = policy["layers"]
    needed = {
        "one layer": not others,
        "of the pool": layer["fund"] == "POOL" and layer["base"] == "ELIGIBLE_AFTER_DEDUCTIBLE",
        "with a limit on what the fund pays": layer["cap_measure"] == "FUND",
        "bands of each bill": policy["band_basis"] == "STAY",
        "bands for everybody": all(set(band) == {"from_fen", "to_fen", "rate_bp"} for band in layer["bands"]),
        "no filings": not policy.get("filing_adjustments"),
    }
    if missing := [rule for rule, is_so in needed.items() if not is_so]:
        raise NotForTables(f"the tables take a policy with {', '.join(missing)}")
    measure = {"ELIGIBLE": "false", "AFTER_DEDUCTIBLE": "true"}[policy["band_measure"]]
    allowed = "true" if policy.get("account_use") == "ALLOWED" else "false"
    head = ", ".join(
        [
            "1",
            f"'{policy['region']}'",
            f"'{policy['insurance_type']}'",
            f"'{policy['effective_from']}'",
            measure,
            _or_null(policy.get("deductible_year_cap_fen")),
            _or_null(layer["annual_cap_fen"]),
            allowed,
        ]
    )
    statements = [f"INSERT INTO policy VALUES ({head});"]
    statements += [f"INSERT INTO deductible VALUES (1, {row});" for row in _deductibles(policy["deductibles"])]
    statements += [
        f"INSERT INTO band VALUES (1, {band['from_fen']}, {_or_null(band['to_fen'])}, {band['rate_bp']});"
        for band in layer["bands"]
    ]
    return "\n".join(statements) + "\n"


def _deductibles(rows: Sequence[Any]) -> Iterator[str]:
    """Give the first row that fits each level and category; visits are not counted, so each is the first."""
    seen = set()
    for row in rows:
        for level in row.get("levels", [LEVEL]):
            for category in row.get("categories", CATEGORIES):
                if (level, category) not in seen:
                    seen.add((level, category))
                    yield f"'{level}', '{category}', {row['amount_fen']}"


def _or_null(value: int | None) -> str:
    return "NULL" if value is None else str(value)
