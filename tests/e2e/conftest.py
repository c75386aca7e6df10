"""A hub process with its agency for every module."""

from collections.abc import Iterator

import pytest

from trial_site import HubProcess, Office, Pki


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), pki) as running:
        yield running


@pytest.fixture(scope="module")
def office(hub: HubProcess) -> Iterator[Office]:
    with Office(hub) as opened:
        yield opened
