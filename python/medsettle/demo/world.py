"""The demo's world: three provinces with their rules, hospitals, and people who do not exist.

Owns what is the same in every run; amounts that another program computed stand beside the story that uses them.
Invariant: identity numbers begin with 000000, which is no region's, and PANs with 9156, so that both are nobody's.
Leaves out how any of it comes into a hub: agency.py.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from importlib import resources
from typing import Any

from medsettle.softcard import Scheme

BUSINESS_ZONE = timezone(timedelta(hours=8))
"""Business days are those of UTC+8."""


def today() -> date:
    """Tell the business day now."""
    return datetime.now(UTC).astimezone(BUSINESS_ZONE).date()


@cache
def package(name: str) -> Any:
    """Read a package file of the demo as JSON data."""
    return json.loads((resources.files("medsettle.demo") / "packages" / f"{name}.json").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Province:
    """A province, the insured region in it and the names of its package files."""

    name: str
    region: str
    insurance: str
    category: str
    policy: str
    catalogue: str


JINAN = Province("Jinan, Shandong", "370100", "EMPLOYEE", "ACTIVE", "policy_jinan", "catalogue_jinan")
JIAXING = Province("Jiaxing, Zhejiang", "330400", "RESIDENT", "RESIDENT", "policy_jiaxing", "catalogue_jiaxing")
BEIJING = Province("Beijing", "110000", "EMPLOYEE", "RETIRED", "policy_beijing", "catalogue_beijing")
PROVINCES = (JINAN, JIAXING, BEIJING)


@dataclass(frozen=True, slots=True)
class Place:
    """A hospital or a pharmacy: its code, its name, its district, and the role of its certificate."""

    code: str
    name: str
    province: Province
    district: str
    role: str = "HOSPITAL"


HOSPITALS = (
    Place("H37010200001", "Spring City Hospital", JINAN, "370102"),
    Place("H33040200001", "South Lake Hospital", JIAXING, "330402"),
    Place("H11010500001", "Altar Park Hospital", BEIJING, "110105"),
)
SHOP = Place("P37010200001", "Lotus Pharmacy", JINAN, "370102", role="PHARMACY")


@dataclass(frozen=True, slots=True)
class Resident:
    """An insured person; `serial` makes the documents unique."""

    serial: int
    name: str
    sex: str
    birth_date: date
    province: Province
    scheme: Scheme = Scheme.PBOC_SM4

    @property
    def identity_number(self) -> str:
        """18 characters, the last by ISO 7064 MOD 11-2."""
        digits = f"000000{self.birth_date:%Y%m%d}{self.serial:03d}"
        remainder = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits)) % 11
        return digits + "10X98765432"[remainder]


LIN = Resident(1, "Lin Yulan", "FEMALE", date(1979, 3, 14), JINAN)
OLD_HE = Resident(2, "He Guoqiang", "MALE", date(1951, 8, 2), BEIJING, Scheme.PBOC_TDES)
SUN = Resident(3, "Sun Haibo", "MALE", date(1986, 11, 30), JINAN)
SHEN = Resident(4, "Shen Meiying", "FEMALE", date(1962, 6, 9), JIAXING, Scheme.PBOC_TDES)
QIAN = Resident(5, "Qian Xiaofeng", "FEMALE", date(1994, 1, 21), JIAXING)
ZHOU = Resident(6, "Zhou Lihua", "FEMALE", date(1988, 5, 17), JINAN)
GAO = Resident(7, "Gao Tianyi", "MALE", date(1975, 9, 25), JINAN, Scheme.PBOC_TDES)
WU = Resident(8, "Wu Xiulan", "FEMALE", date(1986, 4, 2), JINAN)
NAMED = (LIN, OLD_HE, SUN, SHEN, QIAN, ZHOU, GAO, WU)


def crowd(province: Province, first_serial: int, count: int) -> Iterator[Resident]:
    """People for the busy hour, with alternating card generations."""
    for number in range(count):
        serial = first_serial + number
        born = date(1950, 1, 1) + timedelta(days=97 * serial)
        scheme = Scheme.PBOC_SM4 if number % 2 else Scheme.PBOC_TDES
        yield Resident(serial, f"Patient {serial}", "FEMALE" if number % 2 else "MALE", born, province, scheme)


@dataclass(frozen=True, slots=True)
class Item:
    """What a hospital bills: pieces of an item at a price in yuan."""

    code: str
    quantity: str
    price: str


CONSULTATION, TONIC = "CONSULTATION", "TONIC"
"""What outpatient departments and pharmacies bill, wholly within scope."""

VISIT_POLICIES = ("policy_jinan_outpatient", "policy_jinan_pharmacy")
"""Packages that pay 55 % of outpatient visits and purchases together, up to 5,500.00 a year."""
VISIT_LIMIT_FEN = 550_000

HEART_BILL = (
    Item("SURGERY", "1", "12000"),
    Item("WARD-DAY", "12", "500"),
    Item("STENT", "1", "4000"),
    Item("PRIVATE-ROOM", "10", "300"),
)
"""25,000.00 for one heart operation; how much of it counts is for the place of care to say."""
