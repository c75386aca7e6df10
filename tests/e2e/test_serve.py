"""`medsettle serve` as an operator meets it: a real process, real TLS, real signals."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Self

import pytest

from medsettle.auth.actor import Actor
from medsettle.auth.ca import CertificateAuthority
from medsettle.client import Client, connect
from medsettle.config import TlsFiles
from medsettle.errors import NoAnswer, Unavailable
from medsettle.v1 import common_pb2, packages_pb2
from trial_site import ONE_ATTEMPT, HubProcess, Office, Pki, once_answered
from trial_world import OPERATOR as OPERATOR_CODE

OPERATOR = Actor("S37000000001", frozenset({"OPERATOR"}))
READY = re.compile(r"medsettle ready on 127\.0\.0\.1:(\d+) hub=(\d+) frame=(\d+)\n")
STOP_TIMEOUT_S = 30
BLOCK_BYTES, SECTOR_BYTES = 4096, 512


class Serving:
    """A `medsettle serve` of this test, never left behind."""

    def __init__(self, *options: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "medsettle", "serve", *map(str, options)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> tuple[int, int, int]:
        """Wait for the ready line and return port, hub number and frame."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        matched = READY.fullmatch(line)
        assert matched, f"{line!r}; {self.process.communicate(timeout=STOP_TIMEOUT_S)[1]}"
        port, hub, frame = (int(number) for number in matched.groups())
        return port, hub, frame

    def ended(self) -> tuple[int, str]:
        """Wait for the end and return exit code and stderr."""
        _, err = self.process.communicate(timeout=STOP_TIMEOUT_S)
        return self.process.returncode, err

    def terminate(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Site:
    """Certificates, settings and a data directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        authority = CertificateAuthority.create(root / "ca")
        server_cert, server_key = authority.issue_server().write(root, "server")
        client_cert, client_key = authority.issue_client(OPERATOR).write(root, "operator")
        self.server = TlsFiles(ca=authority.certificate_path, cert=server_cert, key=server_key)
        self.client = TlsFiles(ca=authority.certificate_path, cert=client_cert, key=client_key)
        self.config = root / "hub.toml"
        self.config.write_text("[engine]\nsegment_bytes = 1048576\n")

    def serve(self, *, data: Path | None = None, listen: str = "127.0.0.1:0") -> Serving:
        tls = self.server
        options: list[str | Path] = ["--data", data or self.data, "--listen", listen, "--config", self.config]
        return Serving(*options, *_tls_options(tls))

    def connect(self, port: int) -> Client:
        return once_answered(connect(f"127.0.0.1:{port}", tls=self.client, retries=ONE_ATTEMPT))

    def status(self, port: int) -> subprocess.CompletedProcess[str]:
        return command("status", "--target", f"127.0.0.1:{port}", "--json", *_tls_options(self.client))


def _tls_options(tls: TlsFiles) -> list[str]:
    return ["--tls-ca", str(tls.ca), "--tls-cert", str(tls.cert), "--tls-key", str(tls.key)]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "medsettle", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def install(client: Client, request_id: str) -> common_pb2.ResponseHeader:
    """Leave a decision in the journal: a tree of one region."""
    request = packages_pb2.PackagesInstallRegionsRequest(
        header=common_pb2.RequestHeader(
            request_id=request_id,
            created_ms=time.time_ns() // 1_000_000,
            institution_code=OPERATOR.institution,
            operator="test",
        ),
        regions=[packages_pb2.Region(code="370000", name="Shandong", home=True)],
    )
    return client.packages.install_regions(request).header


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_ready_line_names_where_it_serves(site: Site) -> None:
    with site.serve() as hub:
        port, number, _ = hub.ready()
        assert number == 1
        asked = site.status(port)
        assert asked.returncode == 0, asked.stderr
        status = json.loads(asked.stdout)
        assert (status["state"], status["hub_number"], status["persons"]) == ("SERVING", 1, 0)


def test_sigterm_stops_it_with_exit_code_0_and_what_it_decided_stays(site: Site) -> None:
    with site.serve() as hub, site.connect(hub.ready()[0]) as client:
        installed = install(client, "one")
        code, err = hub.terminate()
        assert code == 0, err
    with site.serve() as hub:
        port, _, frame = hub.ready()
        assert frame >= 1
        with site.connect(port) as client:
            again = install(client, "one")
        assert (again.replayed, again.sequence, again.chain_hash) == (True, installed.sequence, installed.chain_hash)


def dumps_core(process: int) -> bool:
    """Let a process of this test die of a fault with a core dump allowed; gives whether there is one."""
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(process, resource.RLIMIT_CORE, (unlimited, unlimited))
    os.kill(process, signal.SIGABRT)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status)
    return os.WCOREDUMP(status)


def test_a_hub_leaves_no_core_dump_which_would_hold_its_keys(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.root)
    other = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
    try:
        if not dumps_core(other.pid):
            pytest.skip("this machine writes no core dump of any process")
    except PermissionError:
        other.kill()
        pytest.skip("this machine does not let a process have core dumps")
    finally:
        other.wait()
    with site.serve() as hub:
        hub.ready()
        assert not dumps_core(hub.process.pid)
        hub.ended()


def test_calls_under_way_when_it_is_asked_to_stop_are_answered_or_refused(site: Site) -> None:
    acknowledged: list[str] = []
    begun = threading.Event()

    def call(worker: int) -> None:
        with suppress(NoAnswer, Unavailable), site.connect(port) as client:
            for number in range(10_000):
                name = f"w{worker}.{number}"
                install(client, name)
                acknowledged.append(name)
                begun.set()

    with site.serve() as hub, ThreadPoolExecutor(4) as workers:
        port, _, _ = hub.ready()
        calls = [workers.submit(call, worker) for worker in range(4)]
        assert begun.wait(STOP_TIMEOUT_S)
        code, err = hub.terminate()
        assert code == 0, err
        for running in calls:
            running.result()
    with site.serve() as hub:
        port, _, _ = hub.ready()
        with site.connect(port) as client:
            assert all(install(client, name).replayed for name in acknowledged)


def test_a_second_hub_on_the_port_is_refused(site: Site) -> None:
    with site.serve() as first:
        port, _, _ = first.ready()
        with site.serve(data=site.root / "other", listen=f"127.0.0.1:{port}") as second:
            code, err = second.ended()
        assert code == 2
        assert f"medsettle: cannot listen on 127.0.0.1:{port}: it is in use" in err
        assert site.status(port).returncode == 0


def test_a_hub_that_cannot_listen_or_read_its_files_makes_no_directory(site: Site) -> None:
    new, tls = site.root / "new", _tls_options(site.server)
    (site.root / "empty.pem").write_text("")
    anywhere, empty, none = ("--listen", "127.0.0.1:0"), str(site.root / "empty.pem"), str(site.root / "none")
    with site.serve() as hub:
        address = f"127.0.0.1:{hub.ready()[0]}"
        for told, options in {
            f"cannot listen on {address}: it is in use": ("--listen", address),
            "cannot listen on nowhere.invalid:1": ("--listen", "nowhere.invalid:1"),
            "empty.pem holds no certificate (PEM)": (*anywhere, "--tls-ca", empty),
            "empty.pem holds no private key (PEM)": (*anywhere, "--tls-key", empty),
            f"{none}: ": (*anywhere, "--revoked", none),
            f"{none}: cannot read the key-encryption key": (*anywhere, "--keys", none, "--kek", f"file:{none}"),
        }.items():
            refused = command("serve", "--data", str(new), *tls, *options)
            assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
            assert told in refused.stderr
            assert not new.exists(), told


@pytest.mark.fault(11)
def test_a_second_hub_on_the_directory_is_refused(site: Site) -> None:
    with site.serve() as first:
        port, _, _ = first.ready()
        with site.serve() as second:
            code, err = second.ended()
        assert code == 2
        assert f"{site.data} is in use by process {first.process.pid}" in err
        assert site.status(port).returncode == 0


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":0"])
def test_plaintext_on_a_public_address_is_refused(site: Site, address: str) -> None:
    with Serving("--data", site.data, "--listen", address, "--insecure") as hub:
        code, err = hub.ended()
    assert code == 2
    assert "without TLS a hub listens on loopback only" in err
    assert not site.data.exists()


def test_plaintext_is_never_the_default(site: Site) -> None:
    with Serving("--data", site.data, "--listen", "127.0.0.1:0") as hub:
        code, err = hub.ended()
    assert code == 2
    assert "--insecure" in err
    assert not site.data.exists()


def test_plaintext_on_loopback_serves_trials(site: Site) -> None:
    options = ("--data", site.data, "--listen", "127.0.0.1:0", "--config", site.config, "--hub-number", "7")
    with Serving(*options, "--insecure") as hub:
        port, number, _ = hub.ready()
        assert number == 7
        assert command("status", "--target", f"127.0.0.1:{port}", "--insecure").returncode == 0
        assert site.status(port).returncode == 2


def test_a_damaged_journal_is_not_served(site: Site) -> None:
    with site.serve() as hub, site.connect(hub.ready()[0]) as client:
        install(client, "one")
        hub.terminate()
    segment = site.data / "00000001.journal"
    content = bytearray(segment.read_bytes())
    content[BLOCK_BYTES + 100] ^= 1
    segment.write_bytes(content)
    with site.serve() as hub:
        code, err = hub.ended()
    assert code == 1
    assert f"medsettle verify {site.data}" in err
    assert segment.read_bytes() == content


def test_a_torn_last_frame_is_cut_and_told(site: Site) -> None:
    with site.serve() as hub, site.connect(hub.ready()[0]) as client:
        install(client, "one")
        hub.terminate()
    segment = site.data / "00000001.journal"
    content = bytearray(segment.read_bytes())
    end = BLOCK_BYTES * -(-len(content.rstrip(b"\0")) // BLOCK_BYTES)
    content[end - SECTOR_BYTES : end] = bytes(SECTOR_BYTES)
    segment.write_bytes(content)
    with site.serve() as hub:
        hub.ready()
        code, err = hub.terminate()
    assert code == 0
    assert f"{segment} at offset " in err
    assert "was torn by a crash before it was acknowledged" in err


@pytest.mark.fault(5)
def test_a_failed_write_halts_it_with_exit_code_3(site: Site) -> None:
    with site.serve() as hub, site.connect(hub.ready()[0]) as client:
        install(client, "kept")
        until_s = time.monotonic() + STOP_TIMEOUT_S
        while not (site.data / "00000002.journal").exists():
            assert time.monotonic() < until_s
            time.sleep(0.01)
        # From here on the kernel refuses every write of the process behind the first block of a file.
        resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, (BLOCK_BYTES, BLOCK_BYTES))
        with pytest.raises((Unavailable, NoAnswer)):
            install(client, "lost")
        code, err = hub.ended()
        assert code == 3
        assert "medsettle: the hub halted: " in err
    with site.serve() as hub:
        port, _, _ = hub.ready()
        with site.connect(port) as client:
            assert install(client, "kept").replayed
            assert not install(client, "lost").replayed


def test_settings_that_cannot_be_are_named(site: Site) -> None:
    site.config.write_text("[engine]\nsegment_byte = 1\n")
    with site.serve() as hub:
        code, err = hub.ended()
    assert code == 2
    assert err == f"medsettle: {site.config}: unknown setting segment_byte; known are " + err.partition("known are ")[2]
    assert os.linesep not in err.rstrip()


def test_a_key_that_does_not_fit_its_certificate_is_named(site: Site) -> None:
    site.server = TlsFiles(ca=site.server.ca, cert=site.server.cert, key=site.client.key)
    with site.serve() as hub:
        code, err = hub.ended()
    assert code == 2
    assert f"{site.client.key} is not the key of {site.server.cert}" in err


def test_the_status_names_the_frame_of_its_hash_and_writes_it_as_verify_does(tmp_path: Path, pki: Pki) -> None:
    def told_by(*arguments: str | PathLike[str]) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "medsettle", *map(str, arguments)]
        return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    files = pki.client(OPERATOR_CODE)
    tls = ("--tls-ca", files.ca, "--tls-cert", files.cert, "--tls-key", files.key)
    with HubProcess(tmp_path / "hub", pki) as hub:
        fresh = told_by("status", "--target", hub.target, *tls)
        assert fresh.returncode == 0
        assert "1970" not in fresh.stdout
        assert fresh.stdout.count("none yet") == 4, "no regions, no decision, no hash, no time"
        with Office(hub) as office:
            office.agency.insure()
        shown = told_by("status", "--target", hub.target, *tls).stdout
        told = json.loads(told_by("status", "--target", hub.target, "--json", *tls).stdout)
        sequence = str(told["header"]["sequence"])
        frames = told_by("inspect", hub.data, "--json", "--from-sequence", sequence, "--to-sequence", sequence)
        assert told["header"]["chain_hash"] == json.loads(frames.stdout)["hash"]
        assert f"hash of its frame  {told['header']['chain_hash']}" in shown.replace("│", " ").replace("   ", "  ")
