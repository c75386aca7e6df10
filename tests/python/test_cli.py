"""The command line as its users meet it: real files, exit codes, and one clear line for every failure."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import medsettle
from medsettle.auth.revocation import RevocationList
from medsettle.config import EngineSettings
from medsettle.v1 import common_pb2, messages_pb2, operations_pb2, packages_pb2, persons_pb2, presentation_pb2
from trial_command import Outcome, Run

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "benefit_cases.json").read_text())
OPERATOR = "S37000000001"
# No region has this code, so nobody has this number.
IDENTITY_NUMBER = "000000199003070014"
DESCRIPTION_OF_A_CASE = {"id", "policy", "expected", "note"}


def header(request_id: str) -> common_pb2.RequestHeader:
    now_ms = time.time_ns() // 1_000_000
    return common_pb2.RequestHeader(request_id=request_id, created_ms=now_ms, institution_code=OPERATOR, operator="t")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a data directory with a region tree and one person."""
    data = tmp_path_factory.mktemp("hub") / "data"
    with medsettle.Hub.open(data, settings=EngineSettings(segment_bytes=64 << 10)) as hub:
        operator = hub.acting(["OPERATOR"], OPERATOR)
        regions = [
            packages_pb2.Region(code="370000", name="Shandong"),
            packages_pb2.Region(code="370100", name="Jinan", parent="370000", home=True),
        ]
        operator.packages.install_regions(
            packages_pb2.PackagesInstallRegionsRequest(header=header("regions"), regions=regions)
        )
        operator.persons.enroll(
            persons_pb2.PersonsEnrollRequest(
                header=header("enroll"),
                name="Example",
                sex=presentation_pb2.Sex.FEMALE,
                birth_date="1990-03-07",
                certificates=[
                    common_pb2.Certificate(kind=common_pb2.Certificate.IDENTITY_CARD, number=IDENTITY_NUMBER)
                ],
                spells=[
                    persons_pb2.InsuranceSpell(
                        insurance_type=common_pb2.InsuranceType.EMPLOYEE,
                        region="370100",
                        category=common_pb2.Category.ACTIVE,
                        status=persons_pb2.InsuranceSpell.NORMAL,
                        from_date="2020-01-01",
                    )
                ],
            )
        )
    return data


@pytest.fixture
def damaged(journal: Path, tmp_path: Path) -> Path:
    """Make a copy in which one bit of the first frame is wrong."""
    copy = tmp_path / "damaged"
    shutil.copytree(journal, copy)
    with (copy / "00000001.journal").open("r+b") as segment:
        segment.seek(4096 + 100)
        (byte,) = segment.read(1)
        segment.seek(-1, os.SEEK_CUR)
        segment.write(bytes([byte ^ 1]))
    return copy


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def case_of(vector: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in vector.items() if name not in DESCRIPTION_OF_A_CASE}


def test_a_sound_journal_verifies_with_exit_code_0(run: Run, journal: Path) -> None:
    outcome = run("verify", journal)
    assert (outcome.code, outcome.err) == (0, "")
    assert "nothing is wrong" in outcome.out


def test_damage_is_named_with_file_and_offset_and_exit_code_1(run: Run, damaged: Path) -> None:
    outcome = run("verify", damaged)
    assert outcome.code == 1
    assert f"{damaged / '00000001.journal'} at offset 4096: " in outcome.out
    assert "1 finding(s); nothing was changed" in outcome.err


def test_a_missing_directory_cannot_be_verified(run: Run, tmp_path: Path) -> None:
    outcome = run("verify", tmp_path / "nowhere")
    assert outcome.code == 2
    assert str(tmp_path / "nowhere") in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


def test_verifying_changes_nothing(run: Run, damaged: Path) -> None:
    def content() -> dict[str, bytes]:
        files = (path for path in damaged.rglob("*") if path.is_file())
        return {str(path.relative_to(damaged)): path.read_bytes() for path in files}

    before = content()
    run("verify", damaged)
    run("inspect", damaged)
    assert content() == before


def test_an_index_that_is_gone_is_made_again_and_answers_as_before(run: Run, journal: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(journal, data)
    shutil.rmtree(data / "index")
    before = [path.read_bytes() for path in sorted(data.glob("*.journal"))]
    outcome = run("reindex", "--data", data)
    assert outcome.code == 0, outcome.err
    assert re.match(rf"{data}: 2 decisions of \d+ frames indexed, [\d,]+ a second\n", outcome.out)
    assert [path.read_bytes() for path in sorted(data.glob("*.journal"))] == before
    with medsettle.Hub.open(data) as hub:
        asked = messages_pb2.MessagesGetOutcomeRequest(request_id="enroll")
        outcome_of_enroll = hub.acting(["OPERATOR"], OPERATOR).messages.get_outcome(asked)
    assert outcome_of_enroll.original_sequence == 2


def test_no_index_is_made_of_a_damaged_journal_or_of_none(run: Run, damaged: Path, tmp_path: Path) -> None:
    outcome = run("reindex", "--data", damaged)
    assert (outcome.code, outcome.out) == (1, "")
    assert "is damaged" in outcome.err
    assert run("reindex", "--data", tmp_path / "nowhere").code == 2


def test_no_index_is_made_while_a_hub_uses_the_directory(run: Run, tmp_path: Path) -> None:
    with medsettle.Hub.open(tmp_path / "data", settings=EngineSettings(segment_bytes=64 << 10)):
        outcome = run("reindex", "--data", tmp_path / "data")
    assert (outcome.code, outcome.out) == (2, "")
    assert "in use by process" in outcome.err


def test_inspect_shows_the_decisions_and_no_identity_number(run: Run, journal: Path) -> None:
    outcome = run("inspect", journal)
    assert outcome.code == 0
    assert "Packages.InstallRegions" in outcome.out
    assert "person_enrolled" in outcome.out
    assert f"number={'*' * 14}{IDENTITY_NUMBER[-4:]}" in outcome.out
    assert IDENTITY_NUMBER not in outcome.out
    assert "Example" not in outcome.out
    assert "birth=1990******" in outcome.out
    assert "1990-03-07" not in outcome.out


def test_inspect_as_json_gives_one_object_per_frame(run: Run, journal: Path) -> None:
    outcome = run("inspect", journal, "--json")
    frames = [json.loads(line) for line in outcome.out.splitlines()]
    assert [frame["number"] for frame in frames] == list(range(1, len(frames) + 1))
    records = {record["request_id"]: record for frame in frames for record in frame["records"]}
    enrolled = records["enroll"]["facts"][0]["person_enrolled"]
    assert records["enroll"]["operation"] == "Persons.Enroll"
    assert records["enroll"]["response"]["person_id"] == enrolled["person_id"] > 0
    assert enrolled["profile"]["certificates"][0]["number"] == "*" * 14 + IDENTITY_NUMBER[-4:]
    first_of_the_year = (date(1990, 1, 1) - date(1970, 1, 1)).days
    assert enrolled["profile"]["birth_days"] == first_of_the_year, "of a birth the year stays"
    assert IDENTITY_NUMBER not in outcome.out


def test_inspect_begins_and_ends_where_it_is_told_to(run: Run, journal: Path) -> None:
    frames = [json.loads(line) for line in run("inspect", journal, "--json").out.splitlines()]
    middle = run("inspect", journal, "--json", "--from", "2", "--limit", "1").out.splitlines()
    assert [json.loads(line) for line in middle] == frames[1:2]
    beyond = run("inspect", journal, "--from", str(len(frames) + 1))
    assert (beyond.code, beyond.out) == (0, "")
    assert "has no frame" in beyond.err


def test_inspect_shows_what_can_be_read_of_a_damaged_journal_and_says_that_frames_are_missing(
    run: Run, damaged: Path
) -> None:
    outcome = run("inspect", damaged, "--json")
    assert outcome.code == 1
    assert outcome.err.startswith(
        f"medsettle: {damaged / '00000001.journal'} at offset 4096: sector 0 of frame 1 is damaged"
    )
    assert outcome.err.endswith(f"All that is wrong: medsettle verify {damaged}\n")
    assert json.loads(outcome.out.splitlines()[0])["number"] == 2


@pytest.mark.parametrize("name", VECTORS["policies"])
def test_the_policies_of_the_vectors_have_no_problem(run: Run, tmp_path: Path, name: str) -> None:
    outcome = run("policy", "check", write(tmp_path / "policy.json", VECTORS["policies"][name]))
    assert (outcome.code, outcome.err) == (0, "")


def test_every_problem_of_a_policy_is_told_with_its_path(run: Run, tmp_path: Path) -> None:
    policy = json.loads(json.dumps(VECTORS["policies"]["jinan"]))
    policy["layers"][0]["bands"][1]["rate_bp"] = "91 %"
    policy["effective_form"] = "2025-01-01"
    outcome = run("policy", "check", write(tmp_path / "policy.json", policy))
    assert outcome.code == 1
    assert f"{tmp_path / 'policy.json'}: layers[0].bands[1].rate_bp: " in outcome.out
    assert "effective_form: is not a field" in outcome.out
    assert "2 problem(s)" in outcome.err


def test_a_rule_that_cannot_be_is_told_with_its_path(run: Run, tmp_path: Path) -> None:
    policy = json.loads(json.dumps(VECTORS["policies"]["jinan"]))
    policy["layers"][0]["bands"][0]["rate_bp"] = 10_001
    outcome = run("policy", "check", write(tmp_path / "policy.json", policy))
    assert outcome.code == 1
    assert "layers[0].bands[0].rate_bp" in outcome.out


def test_catalogues_and_regions_are_told_by_their_fields(run: Run, tmp_path: Path) -> None:
    item = {"code": "X1", "name": "item", "class": "D"}
    catalogue = write(tmp_path / "catalogue.json", {"region": "370100", "items": [item]})
    regions = write(tmp_path / "regions.json", [{"code": "370000", "name": "Shandong", "parent": 0}])
    outcome = run("policy", "check", catalogue, regions)
    assert outcome.code == 1
    assert f"{catalogue}: items[0].class: must be one of A, B, C, not 'D'" in outcome.out
    assert f"{regions}: regions[0].parent: must be a text, not the number 0" in outcome.out


def test_alert_rules_are_known_by_their_rules_and_every_problem_is_a_line(run: Run, tmp_path: Path) -> None:
    rules: dict[str, Any] = {
        "region": "370100",
        "effective_from": "2026-01-01",
        "rules": [{"kind": "TWO_PLACES", "window_hours": 6, "apart": "CITY"}, {"kind": "NEAR_CAP", "ratio_bp": 9000}],
    }
    good = write(tmp_path / "good.json", rules)
    rules["rules"] += [{"kind": "MANY_INSTITUTIONS", "count": 33, "apart": "CITY"}, {"kind": "COUNTER_JUMP"}]
    bad = write(tmp_path / "bad.json", rules)
    outcome = run("policy", "check", good, bad)
    assert outcome.code == 1
    assert outcome.out.splitlines() == [
        f"{good}: no problem",
        f"{bad}: rules[2].window_hours: must lie between 1 and 744",
        f"{bad}: rules[2].count: must lie between 2 and 32",
        f"{bad}: rules[2].apart: means nothing for a rule of this kind",
        f"{bad}: rules[3].kind: is raised by the hub itself and is no rule",
    ]
    unreadable = write(tmp_path / "unreadable.json", {**rules, "rules": [{"kind": "DISTANCE", "hours": 6}]})
    outcome = run("policy", "check", unreadable, "--kind", "alert-rules")
    assert [text.split(": ")[1] for text in outcome.out.splitlines()] == ["rules[0].kind", "rules[0].hours"]


def test_a_file_that_is_no_package_cannot_be_checked(run: Run, tmp_path: Path) -> None:
    outcome = run("policy", "check", write(tmp_path / "other.json", {"name": "other"}))
    assert outcome.code == 2
    assert "give --kind" in outcome.err


def test_a_missing_package_cannot_be_checked(run: Run, tmp_path: Path) -> None:
    outcome = run("policy", "check", tmp_path / "missing.json")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"medsettle: {tmp_path / 'missing.json'}: No such file or directory\n"


@pytest.mark.parametrize("vector", VECTORS["cases"], ids=lambda vector: str(vector["id"]))
def test_quotes_of_the_vectors_are_exact_to_the_fen(run: Run, tmp_path: Path, vector: dict[str, Any]) -> None:
    policy = write(tmp_path / "policy.json", VECTORS["policies"][vector["policy"]])
    outcome = run("policy", "quote", policy, write(tmp_path / "case.json", case_of(vector)), "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    amounts = {**result["split"], "balance_after_fen": result["balance_after_fen"]}
    assert {name: amounts[name] for name in vector["expected"]} == vector["expected"]


def test_a_quote_is_shown_from_bill_to_payer(run: Run, tmp_path: Path) -> None:
    vector = VECTORS["cases"][0]
    policy = write(tmp_path / "policy.json", VECTORS["policies"][vector["policy"]])
    outcome = run("policy", "quote", policy, write(tmp_path / "case.json", case_of(vector)))
    assert outcome.code == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in outcome.out.splitlines() if "│" in line]
    assert ["total", "25,000.00"] in rows
    assert ["C001", "pool", "2025", "20,600.00", "88 %", "18,128.00"] in rows
    assert ["fund: pool", "18,128.00"] in rows
    assert ["person: cash", "6,872.00"] in rows


def test_a_refused_quote_says_why(run: Run, tmp_path: Path) -> None:
    vector = VECTORS["cases"][0]
    policy = write(tmp_path / "policy.json", VECTORS["policies"][vector["policy"]])
    case = write(tmp_path / "case.json", {**case_of(vector), "institution_level": "ONE"})
    outcome = run("policy", "quote", policy, case)
    assert outcome.code == 1
    assert outcome.err.startswith("medsettle: refused: NO_RULE")


def test_a_case_with_problems_is_not_quoted(run: Run, tmp_path: Path) -> None:
    vector = VECTORS["cases"][0]
    policy = write(tmp_path / "policy.json", VECTORS["policies"][vector["policy"]])
    case = write(tmp_path / "case.json", {**case_of(vector), "bill": {"total_fen": 1.5}})
    outcome = run("policy", "quote", policy, case)
    assert outcome.code == 1
    assert "bill.total_fen: must be a whole number" in outcome.out


KEY = ["--issuer", "trial", "--scheme", "PBOC_SM4", "--key-index", "1", "--pan-from", "91560", "--pan-to", "91569"]


@pytest.fixture
def kek(tmp_path: Path) -> str:
    (tmp_path / "kek").write_text("00112233445566778899AABBCCDDEEFF" * 2)
    return f"file:{tmp_path / 'kek'}"


def test_keys_are_made_imported_listed_and_wrapped_anew(
    run: Run, tmp_path: Path, kek: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = tmp_path / "keys.json"
    assert run("keys", "create", ring, "--kek", kek).code == 0
    made = run("keys", "generate", ring, *KEY, "--kek", kek)
    components = [tmp_path / "one", tmp_path / "two"]
    for path, text in zip(components, ("0123456789ABCDEF" * 2, "FEDCBA9876543210" * 2), strict=True):
        path.write_text(text + "\n")
    second = [*KEY[:4], "--key-index", "2", *KEY[6:]]
    imported = run("keys", "import", ring, *second, *(f"--component={path}" for path in components), "--kek", kek)
    check_values = [outcome.out.removeprefix("check value ").strip() for outcome in (made, imported)]
    assert all(len(value) == 6 for value in check_values)

    monkeypatch.setenv("NEW_KEK", "FFEEDDCCBBAA99887766554433221100" * 2)
    assert run("keys", "rotate", ring, "--kek", kek, "--new-kek", "env:NEW_KEK").code == 0
    listed = run("keys", "list", ring, "--kek", "env:NEW_KEK")
    assert [value for value in check_values if value in listed.out] == check_values
    outdated = run("keys", "list", ring, "--kek", kek)
    assert outdated.code == 2
    assert str(ring) in outdated.err


def test_a_key_that_overlaps_another_is_refused(run: Run, tmp_path: Path, kek: str) -> None:
    ring = tmp_path / "keys.json"
    run("keys", "create", ring, "--kek", kek)
    run("keys", "generate", ring, *KEY, "--kek", kek)
    outcome = run("keys", "generate", ring, *KEY, "--kek", kek)
    assert (outcome.code, outcome.out) == (2, "")
    assert str(ring) in outcome.err


def test_a_key_ring_is_never_replaced(run: Run, tmp_path: Path, kek: str) -> None:
    ring = tmp_path / "keys.json"
    run("keys", "create", ring, "--kek", kek)
    run("keys", "generate", ring, *KEY, "--kek", kek)
    before = ring.read_bytes()
    assert run("keys", "create", ring, "--kek", kek).code == 2
    assert ring.read_bytes() == before


def test_secrets_are_not_taken_from_the_command_line(run: Run, tmp_path: Path) -> None:
    outcome = run("keys", "create", tmp_path / "keys.json", "--kek", "passphrase:correct horse battery")
    assert outcome.code == 2
    assert "never given on the command line" in outcome.err
    assert "horse" not in outcome.err


def test_without_a_terminal_no_passphrase_is_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "medsettle", "keys", "create", str(tmp_path / "keys.json")]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "no terminal to ask" in ended.stderr


def test_a_passphrase_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    passphrase = "correct horse battery staple"
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "medsettle", "keys", "create", str(tmp_path / "keys.json")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        screen = b""
        for prompts in (1, 2):
            while screen.count(b":") < prompts:
                screen += os.read(ours, 1024)
            os.write(ours, passphrase.encode() + b"\n")
        assert process.wait(30) == 0
        while b"made, with a key for PINs" not in screen:
            screen += os.read(ours, 1024)
    os.close(theirs)
    os.close(ours)
    assert passphrase.encode() not in screen
    assert (tmp_path / "keys.json").exists()


def test_certificates_are_issued_shown_and_revoked(run: Run, tmp_path: Path) -> None:
    authority = tmp_path / "ca"
    assert run("certs", "init", authority).code == 0
    assert run("certs", "server", authority, "--host", "hub.example").code == 0
    out = tmp_path / "ward"
    client = ["certs", "client", authority, "--institution", "H11010500001", "--role", "HOSPITAL", "--role", "DESK"]
    assert run(*client, "--out", out, "--name", "ward", "--days", "7").code == 0

    shown = run("certs", "show", out / "ward.pem")
    assert "medsettle://H11010500001/DESK,HOSPITAL" in shown.out
    assert "hub.example" in run("certs", "show", authority / "server.pem").out
    certificate = x509.load_pem_x509_certificate((out / "ward.pem").read_bytes())
    assert f"{certificate.serial_number:X}" in shown.out
    assert certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=7, minutes=1)
    assert (out / "ward.key").stat().st_mode & 0o077 == 0

    assert run("certs", "revoke", authority, out / "ward.pem").code == 0
    assert certificate.serial_number in RevocationList.load(authority / "revoked.txt")


@pytest.mark.parametrize(
    ("institution", "role", "said"),
    [("H11010500001", "NURSE", "unknown role 'NURSE'"), ("short", "DESK", "an institution code is 12 characters")],
)
def test_a_certificate_for_nobody_is_not_issued(
    run: Run, tmp_path: Path, institution: str, role: str, said: str
) -> None:
    run("certs", "init", tmp_path / "ca")
    outcome = run("certs", "client", tmp_path / "ca", "--institution", institution, "--role", role)
    assert outcome.code == 2
    assert said in outcome.err
    assert sorted(path.name for path in (tmp_path / "ca").iterdir()) == ["ca.key", "ca.pem", "revoked.txt"]


def test_an_authority_is_never_replaced(run: Run, tmp_path: Path) -> None:
    run("certs", "init", tmp_path / "ca")
    before = (tmp_path / "ca" / "ca.key").read_bytes()
    assert run("certs", "init", tmp_path / "ca").code == 2
    assert (tmp_path / "ca" / "ca.key").read_bytes() == before


def test_a_hub_that_is_not_there_has_no_status(run: Run) -> None:
    outcome = run("status", "--target", "127.0.0.1:1", "--insecure")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no answer from the hub" in outcome.err


@pytest.mark.parametrize(
    "command",
    [
        *("serve", "status", "verify", "inspect", "reindex", "demo", "keys", "certs", "policy", "explain", "as-of"),
        *("export", "backup", "restore", "snapshot", "digest", "trial-balance", "confirm-clock"),
    ],
)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert f"Usage: medsettle {command}" in outcome.out


def test_the_version_is_that_which_a_hub_tells(run: Run, journal: Path, tmp_path: Path) -> None:
    data = shutil.copytree(journal, tmp_path / "data")
    with medsettle.Hub.open(data, settings=EngineSettings(segment_bytes=64 << 10)) as hub:
        asked = operations_pb2.OperationsStatusRequest()
        version = hub.acting(["OPERATOR"], OPERATOR).operations.status(asked).version
    assert run("--version") == Outcome(0, f"medsettle {version}\n", "")


def test_help_needs_neither_the_engine_nor_the_network(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom medsettle.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'medsettle._core', 'grpc', 'google.protobuf', 'cryptography'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
