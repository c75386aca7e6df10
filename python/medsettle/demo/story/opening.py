"""Before the story: the hub, three provinces with their rules, hospitals, people and their cards."""

from collections.abc import Mapping

from medsettle.demo import world
from medsettle.demo.agency import Agency
from medsettle.demo.hospital import Hospital
from medsettle.demo.hub_process import HubProcess
from medsettle.demo.patient import Patient
from medsettle.demo.tell import Teller
from medsettle.v1 import cards_pb2


def start(tell: Teller, hub: HubProcess) -> None:
    """Start the hub."""
    tell.opening(
        "medsettle demo",
        "A person insured in one province falls ill in another. At discharge the hospital must know, while the patient "
        "stands at the counter, what the insurance pays and what is left to pay, and it must be able to rely on that "
        "answer whatever breaks.\n\n"
        "What follows runs for real on this machine: a hub, three hospitals as separate processes with certificates of "
        "their own, and patients with chip cards in software. People and hospitals are invented; the rules are those "
        "of three provinces as far as they are published. Every claim is checked, and every line that begins with "
        '"checked" says so. All amounts are in yuan.',
    )
    tell.chapter("Three provinces, three hospitals, one hub")
    with tell.working("starting the hub"):
        took_s = hub.start()
    tell.say(f"The hub is a process of its own, listening with mutual TLS on {hub.target}; ready after {took_s:.1f} s.")


def people(tell: Teller, agency: Agency, hospitals: Mapping[world.Province, Hospital]) -> dict[world.Resident, Patient]:
    """Install the rules, register the hospitals, insure people and hand their cards over."""
    agency.install_packages()
    for hospital in hospitals.values():
        agency.register(hospital.place)
    tell.table(
        ["hospital", "province", "code", "process"],
        [
            [hospital.name, province.name, hospital.place.code, str(hospital.process_id)]
            for province, hospital in hospitals.items()
        ],
        left=3,
    )
    tell.say(
        "What an item is, the place of care decides. Take a stent for somebody insured as an employee: part of its "
        "price is the patient's own share first, and some provinces count the price only up to a ceiling."
    )
    tell.table(
        ["place of care", "own share first", "ceiling of a stent", "ceiling of a day in the ward"],
        [
            [
                province.name,
                f"{_first_pay_bp(province) // 100} %",
                _ceiling(province, "STENT"),
                _ceiling(province, "WARD-DAY"),
            ]
            for province in world.PROVINCES
        ],
    )
    patients = agency.insure(world.NAMED)
    states = {card.insurance_state for patient in patients for card in agency.cards(patient)}
    tell.say(
        f"{len(patients)} people are insured. Each has collected a chip card, of the second generation (triple DES) or "
        "the third (SM4). None is enabled yet: the first use in a hospital, holder present, will do that."
    )
    tell.equal("all cards are handed over and none is enabled", states, {cards_pb2.Card.ISSUED})
    return dict(zip(world.NAMED, patients, strict=True))


def _item(province: world.Province, code: str) -> dict[str, list[dict[str, str | int]]]:
    item: dict[str, list[dict[str, str | int]]] = next(
        item for item in world.package(province.catalogue)["items"] if item["code"] == code
    )
    return item


def _first_pay_bp(province: world.Province) -> int:
    rows = _item(province, "STENT")["first_pay"]
    return int(next(row["first_pay_bp"] for row in rows if row["insurance_type"] == "EMPLOYEE"))


def _ceiling(province: world.Province, code: str) -> str:
    ceilings = _item(province, code).get("ceilings")
    return f"{int(ceilings[0]['price']):,}.00" if ceilings else "none"
