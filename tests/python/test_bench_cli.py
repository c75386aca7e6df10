"""`medsettle bench` as its users meet it: a wrong option costs one line, never a run."""

import json
import shlex
from functools import partial
from pathlib import Path

import pytest

from trial_command import Run


@pytest.fixture
def run(run: Run) -> Run:
    """Run `medsettle bench` in this process."""
    return partial(run, "bench")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--rate 0", "--rate is calls per second, more than 0"),
        ("--callers 0", "--callers is a whole number from 1"),
        ("--callers 1000000000", "not 1,000,000,000"),
        ("--workload surgery", "--workload is one of visit, stay, mixed, not 'surgery'"),
        ("--call telephone", "--call is one of unary, batch, stream"),
        ("--intensity 3 --workload mixed", "--intensity is 1, 10, 100 times the country"),
        ("--call stream", "--call stream goes with --serve or --target"),
        ("--target 127.0.0.1:1", "--target needs --trial"),
        ("--json /nowhere/to/be/found.json", "/nowhere/to/be/found.json: No such file or directory"),
        ("--html /nowhere/to/be/found.html", "/nowhere/to/be/found.html: No such file or directory"),
        ("--tls-cert a.pem", "TLS needs all of"),
        ("--trial /no/DIR --target 127.0.0.1:1 --insecure --tls-cert a --tls-key b --tls-ca c", "--insecure uses no"),
    ],
)
def test_a_wrong_option_is_told_in_one_line_before_anything_is_done(run: Run, arguments: str, reason: str) -> None:
    outcome = run(*arguments.split())
    assert outcome.code == 2
    assert reason in outcome.err and outcome.err.count("\n") == 1
    assert not outcome.out


def test_an_output_file_that_can_be_written_is_not_left_behind_by_a_run_that_fails(run: Run, tmp_path: Path) -> None:
    file, kept = tmp_path / "new.json", tmp_path / "kept.html"
    kept.write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    outcome = run("--json", file, "--html", kept, "--data", tmp_path / "full")
    assert (outcome.code, file.exists(), kept.read_text()) == (2, False, "mine")
    assert "is not empty" in outcome.err


def test_a_hub_that_is_not_there_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    made = run("trial", tmp_path / "trial")
    assert made.code == 0
    serve, load = (line for line in made.out.splitlines() if line.startswith("medsettle "))
    assert shlex.split(serve)[1:3] == ["serve", "--data"]
    assert shlex.split(load)[1:] == ["bench", "--target", "127.0.0.1:7443", "--trial", str(tmp_path / "trial")]
    again = run("trial", tmp_path / "trial")
    assert again.code == 2 and "is a trial folder already" in again.err
    outcome = run("--target", "127.0.0.1:1", "--trial", tmp_path / "trial")
    assert outcome.code == 2
    assert "no answer from the hub" in outcome.err and "Traceback" not in outcome.err


def test_a_run_shows_its_figures_and_writes_them(run: Run, tmp_path: Path) -> None:
    small = "--workload mixed --count 40 --warmup 5 --runs 1 --persons 30 --callers 4"
    outcome = run(
        *small.split(), "--data", tmp_path / "data", "--json", tmp_path / "r.json", "--html", tmp_path / "r.html"
    )
    assert outcome.code == 0
    for told in ("machine: ", "mix: ", "latency p99.99, ms", "floor: bare write", "counted: "):
        assert told in outcome.out
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["plan"]["workload"] == "mixed"
    assert document["books"]["problems"] == []
    assert f"{document['books']['sent']} commands sent" in outcome.out
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "data").exists()
