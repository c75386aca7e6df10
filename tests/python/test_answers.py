"""What a small request may make the hub say: answers have bounds, whoever asks."""

import time
from collections.abc import Iterator
from pathlib import Path

from pytest import fixture, mark, raises

from medsettle import Hub, Rejected, jsonform
from medsettle.hub import Acting
from medsettle.v1 import batch_pb2, cards_pb2, common_pb2, institutions_pb2, packages_pb2, reason_pb2

CODE = "OPERATOR0001"
ITEMS = 30_000
NAME = "A" * 60


def header(request_id: str, institution: str = CODE) -> common_pb2.RequestHeader:
    created_ms = time.time_ns() // 1_000_000
    return common_pb2.RequestHeader(request_id=request_id, created_ms=created_ms, institution_code=institution)


@fixture
def operator(tmp_path: Path) -> Iterator[Acting]:
    with Hub.open(tmp_path / "data") as hub:
        acting = hub.acting(["OPERATOR", "HUB"], CODE)
        region = packages_pb2.Region(code="370000", name="Shandong", home=True)
        acting.packages.install_regions(
            packages_pb2.PackagesInstallRegionsRequest(header=header("1"), regions=[region])
        )
        yield acting


def test_a_batch_of_small_questions_gets_no_more_than_its_share_of_answers(operator: Acting) -> None:
    # `class` is a field and a keyword, so items are read as JSON has them.
    data = [{"code": f"{NAME[:30]}{i}", "name": NAME, "class": "A"} for i in range(ITEMS)]
    items = [jsonform.parse(packages_pb2.CatalogueItem, item) for item in data]
    catalogue = packages_pb2.Catalogue(region="370000", effective_from="2025-01-01", items=items)
    installed = operator.packages.install_catalogue(
        packages_pb2.PackagesInstallCatalogueRequest(header=header("2"), catalogue=catalogue)
    )
    ask = batch_pb2.Command(packages_get=packages_pb2.PackagesGetRequest(package_hash=installed.package_hash))
    answered = operator.submit(batch_pb2.BatchSubmitRequest(commands=[ask] * 40))
    kinds = [result.WhichOneof("result") for result in answered.results]
    assert len(kinds) == 40
    assert kinds[0] == "packages_get"
    assert kinds[-1] == "refusal"
    assert answered.results[-1].refusal.reason == reason_pb2.Reason.REQUEST_TOO_LARGE
    assert answered.ByteSize() < 48 << 20


@mark.parametrize("name", ["\x1b[2J", "two\nlines", "right\u202eleft", " led by a space"])
def test_a_text_that_would_disturb_a_terminal_is_refused(operator: Acting, name: str) -> None:
    institution = institutions_pb2.Institution(institution_code="H37010200001", name=name)
    request = institutions_pb2.InstitutionsRegisterRequest(header=header("3"), institution=institution)
    with raises(Rejected) as refusal:
        operator.institutions.register(request)
    assert (refusal.value.reason, refusal.value.detail["field"]) == ("REQUEST_MALFORMED", "institution.name")


def test_a_forwarding_hub_acts_for_others_only_where_its_role_may(operator: Acting) -> None:
    region = packages_pb2.Region(code="370000", name="Shandong", home=True)
    request = packages_pb2.PackagesInstallRegionsRequest(header=header("4", "H11010500001"), regions=[region])
    with raises(Rejected) as refusal:
        operator.packages.install_regions(request)
    assert refusal.value.reason == "NOT_YOUR_INSTITUTION"


def test_who_may_not_ask_learns_nothing_about_the_request(operator: Acting) -> None:
    with raises(Rejected) as refusal:
        operator.cards.get(cards_pb2.CardsGetRequest())
    assert refusal.value.reason == "REQUEST_MALFORMED"
    with raises(Rejected) as refusal:
        operator.cards.set_pin(cards_pb2.CardsSetPinRequest())
    assert (refusal.value.reason, refusal.value.detail) == ("ROLE_FORBIDDEN", {"method": "Cards.SetPin"})
