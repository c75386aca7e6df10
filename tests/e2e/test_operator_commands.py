"""What an operator asks of a running hub from the command line, over real TLS."""

import json
import time
from pathlib import Path

import pytest

from medsettle import Hub, ManualClock
from medsettle.v1 import operations_pb2
from trial_backup import tls_options
from trial_command import Run
from trial_site import HubProcess, Office, Pki
from trial_world import AUDITOR, BEIJING_HOSPITAL, OPERATOR, found_world

DAY_MS = 86_400_000


def test_a_snapshot_that_was_asked_for_lies_there_with_the_digest_that_the_hub_tells(
    hub: HubProcess, office: Office, run: Run
) -> None:
    office.agency.insure()
    before = set(hub.data.glob("*.snapshot"))
    cut = run("snapshot", "--from", hub.target, *tls_options(hub.pki), "--json")
    assert (cut.code, cut.err) == (0, "")
    sequence = json.loads(cut.out)["snapshot_sequence"]
    asked = run("digest", "--from", hub.target, *tls_options(hub.pki, AUDITOR), "--json")
    assert (asked.code, asked.err) == (0, "")
    told = json.loads(asked.out)
    assert told["sequence"] == sequence
    (snapshot,) = set(hub.data.glob("*.snapshot")) - before
    verified = json.loads(run("verify", hub.data, "--json").out)
    (shown,) = [one for one in verified["snapshots"] if one["path"] == str(snapshot)]
    assert (shown["sequence"], shown["digest"]) == (sequence, told["digest"])
    again = run("snapshot", "--target", hub.target, *tls_options(hub.pki))
    assert again == (0, f"{hub.target}: the snapshot behind sequence {sequence:,} is cut and was read back\n", "")
    text = run("digest", "--target", hub.target, *tls_options(hub.pki)).out
    assert text == f"{hub.target}: the state behind sequence {sequence:,} has the digest {told['digest']}\n"


def test_the_trial_balance_is_shown_in_yuan_and_sums_to_zero(hub: HubProcess, office: Office, run: Run) -> None:
    office.agency.credit(office.agency.insure(), 1_234_567)
    books = office.auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
    shown = run("trial-balance", "--target", hub.target, *tls_options(hub.pki, AUDITOR))
    assert (shown.code, shown.err) == (0, "")
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in shown.out.splitlines() if "│" in row]
    contributed = sum(row.balance_fen for row in books.balances if row.account == row.CONTRIBUTIONS)
    told = f"{contributed / 100:,.2f}"
    assert ["CONTRIBUTIONS", told] in [[row[0], row[-1]] for row in cells]
    assert ["sum", "", "", "", "0.00"] in cells
    held = f"{books.personal_balances_fen / 100:,.2f}"
    assert shown.out.endswith(f"persons and their cards hold {held} yuan\n")
    document = json.loads(run("trial-balance", "--target", hub.target, *tls_options(hub.pki), "--json").out)
    assert document["personal_balances_fen"] == books.personal_balances_fen
    assert document["header"]["chain_hash"] == books.header.chain_hash.hex()


@pytest.mark.parametrize("command", ["snapshot", "digest", "trial-balance", "confirm-clock"])
def test_only_those_who_may_are_answered(hub: HubProcess, run: Run, command: str) -> None:
    hub_is_asked = ("--target", hub.target)
    refused = run(command, *hub_is_asked, *tls_options(hub.pki, BEIJING_HOSPITAL))
    if command == "confirm-clock":
        assert refused == (0, f"{hub.target}: the hub does not suspect its clock; it is SERVING\n", "")
    else:
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.startswith("medsettle: refused: ROLE_FORBIDDEN")
    alone = run(command, *hub_is_asked)
    assert (alone.code, "give --tls-cert" in alone.err) == (2, True)
    nobody = run(command, "--target", "127.0.0.1:1", "--timeout", 0.5, *tls_options(hub.pki))
    assert (nobody.code, nobody.out, "no answer from the hub" in nobody.err) == (2, "", True)


def test_a_clock_that_the_operator_confirms_is_trusted_and_work_goes_on(tmp_path: Path, pki: Pki, run: Run) -> None:
    hub = HubProcess(tmp_path, pki)
    with Hub.open(hub.data, clock=ManualClock(time.time_ns() // 1_000_000 + DAY_MS)) as written:
        found_world(written.acting(["OPERATOR"], OPERATOR))
    with hub:
        options = ("--target", hub.target, *tls_options(pki))
        suspect = run("status", *options)
        assert (suspect.code, "the hub is CLOCK_SUSPECT" in suspect.err) == (1, True)
        refused = run("confirm-clock", "--target", hub.target, *tls_options(pki, BEIJING_HOSPITAL))
        assert (refused.code, "ROLE_FORBIDDEN" in refused.err) == (1, True)
        confirmed = run("confirm-clock", *options)
        assert (confirmed.code, confirmed.err) == (0, "")
        assert f"{hub.target}: the hub takes its clock for right and is SERVING; " in confirmed.out
        assert run("status", *options).code == 0


def test_a_certificate_that_names_nobody_is_told_before_the_hub_is_asked(pki: Pki, run: Run) -> None:
    tls = pki.server
    files = ["--tls-ca", tls.ca, "--tls-cert", tls.cert, "--tls-key", tls.key]
    told = f"medsettle: {tls.cert} names no institution; is it a client certificate?\n"
    assert run("snapshot", "--target", "127.0.0.1:1", *files) == (2, "", told)


def test_tls_files_that_cannot_be_used_are_named_before_the_hub_is_asked(tmp_path: Path, pki: Pki, run: Run) -> None:
    own, other = pki.client(OPERATOR), pki.client(AUDITOR)
    (text := tmp_path / "text.pem").write_text("no certificate")
    for (ca, cert, key), told in {
        (text, own.cert, own.key): f"{text} holds no certificate (PEM)",
        (own.ca, text, own.key): f"{text} holds no certificate (PEM)",
        (own.ca, own.cert, text): f"{text} holds no private key (PEM) that can be read without a password",
        (own.ca, own.cert, other.key): f"{other.key} is not the key of {own.cert}",
    }.items():
        files = ["--tls-ca", ca, "--tls-cert", cert, "--tls-key", key]
        assert run("status", "--target", "127.0.0.1:1", *files) == (2, "", f"medsettle: {told}\n")
