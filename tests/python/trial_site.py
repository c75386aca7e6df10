"""A trial hub as a process: `medsettle serve` with mutual TLS, its certificates, and what a bare call sees of it.

Invariant: it is started on the same directory and port every time, so that its clients find it again by themselves.
Invariant: no process outlives its `HubProcess`, whatever happened; processes are ended by their own ids only.
Leaves out who is insured there: trial_world.py.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Self, cast

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from medsettle.auth.actor import Actor
from medsettle.auth.ca import CertificateAuthority, IssuedCertificate
from medsettle.client import Client, Retries, connect
from medsettle.config import TlsFiles
from medsettle.errors import NoAnswer
from medsettle.v1 import operations_pb2
from medsettle.v1.facade import METHODS
from trial_world import AUDITOR, DESK, ISSUER, OPERATOR, ROLE_OF, Agency, KeyRing, found_world

ONE_ATTEMPT = Retries(attempts=1)
STOP_TIMEOUT_S = 60
CALL_TIMEOUT_S = 30
SEGMENT_BYTES = 4 << 20
SERVE = (sys.executable, "-m", "medsettle", "serve")


class Pki:
    """The authority of a test run and the certificates that it gave."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.authority = CertificateAuthority.create(root / "ca")
        self.server = self.files("server", self.authority.issue_server())
        self._clients: dict[str, TlsFiles] = {}

    def files(self, name: str, issued: IssuedCertificate) -> TlsFiles:
        """Write a certificate to disk under a name that is not taken."""
        certificate, key = issued.write(self.root, name)
        return TlsFiles(ca=self.authority.certificate_path, cert=certificate, key=key)

    def client(self, institution: str) -> TlsFiles:
        """Give the certificate of an institution; what is no office of the agency is a hospital."""
        if institution not in self._clients:
            actor = Actor(institution, frozenset({ROLE_OF.get(institution, "HOSPITAL")}))
            self._clients[institution] = self.files(institution, self.authority.issue_client(actor))
        return self._clients[institution]

    def client_with_names(self, names: Iterable[x509.GeneralName]) -> IssuedCertificate:
        """Issue what `medsettle certs` never would: a client certificate with any names."""
        issuer = load_pem_private_key((self.root / "ca" / "ca.key").read_bytes(), password=None)
        assert isinstance(issuer, ec.EllipticCurvePrivateKey)
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "any names")])
        builder = (
            x509.CertificateBuilder(self.authority.certificate.subject, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        )
        if names := list(names):
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return IssuedCertificate(builder.sign(issuer, hashes.SHA256()), key)


def once_answered(client: Client) -> Client:
    """Give the client back once its hub has answered: on a busy machine a handshake outlasts an attempt."""
    until_s = time.monotonic() + CALL_TIMEOUT_S
    while True:
        try:
            client.operations.status(operations_pb2.OperationsStatusRequest())
        except NoAnswer:
            if time.monotonic() > until_s:
                client.close()
                raise
        else:
            return client


class HubProcess:
    """A hub on a directory of its own; a context manager.

    `data` is the data directory where it does not stand beside the key ring, `settings` are those of the engine, and
    `launcher` is a command that starts the one given behind it.
    """

    def __init__(
        self,
        root: Path,
        pki: Pki,
        *,
        data: Path | None = None,
        settings: Mapping[str, int] = MappingProxyType({}),
        launcher: Sequence[str] = (),
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.pki = pki
        self.data = data or root / "data"
        self.launcher = launcher
        self.port = 0
        self._key_ring = KeyRing.make(root)
        self._log = root / "hub.log"
        self._config = root / "hub.toml"
        values = {"segment_bytes": SEGMENT_BYTES, **settings}
        self._config.write_text("[engine]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
        self._process: subprocess.Popen[str] | None = None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def log(self) -> str:
        """What it wrote to stderr since it was first started."""
        return self._log.read_text()

    def start(self) -> None:
        """Start it and wait for its ready line."""
        tls = self.pki.server
        options: dict[str, object] = {
            "--data": self.data,
            "--listen": self.target,
            "--config": self._config,
            "--tls-ca": tls.ca,
            "--tls-cert": tls.cert,
            "--tls-key": tls.key,
            "--revoked": self.pki.authority.revoked_path,
            "--keys": self._key_ring.path,
            "--kek": self._key_ring.kek,
        }
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*self.launcher, *SERVE, *(str(part) for row in options.items() for part in row)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("medsettle ready on 127.0.0.1:"), line + self.log
        self.port = int(line.split()[3].rpartition(":")[2])

    def ended(self) -> int:
        """Wait until it ends by itself, or by somebody else's signal; gives the exit code."""
        process = self._running()
        process.communicate(timeout=STOP_TIMEOUT_S)
        self._process = None
        return process.returncode

    def kill(self) -> None:
        """SIGKILL: no handler, no flush."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM: drain, close; gives the exit code."""
        return self._end(signal.SIGTERM)

    def ask_to_stop(self) -> None:
        """SIGTERM without waiting."""
        self._running().send_signal(signal.SIGTERM)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process between two instructions, as a machine that hangs; it goes on afterwards."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the hub is not running"
        return self._process

    def _end(self, number: signal.Signals) -> int:
        process = self._running()
        self._process = None
        process.send_signal(number)
        process.communicate(timeout=STOP_TIMEOUT_S)
        return process.returncode

    def connect(self, institution: str, retries: Retries = ONE_ATTEMPT) -> Client:
        """Connect with the certificate of an institution."""
        return connect(self.target, tls=self.pki.client(institution), retries=retries)

    def reach(self, institution: str) -> Client:
        """Connect, and return once the hub has answered."""
        return once_answered(self.connect(institution))

    def channel(self, tls: TlsFiles, target: str = "") -> grpc.Channel:
        """Open a bare channel, for what the typed client never sends; to the hub unless another target is given."""
        ca, key, cert = (Path(path).read_bytes() for path in (tls.ca, tls.key, tls.cert))
        return grpc.secure_channel(target or self.target, grpc.ssl_channel_credentials(ca, key, cert))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self.kill()


@dataclass
class Office:
    """The agency's connections to a hub, whose world it founds; a context manager."""

    hub: HubProcess
    _clients: dict[str, Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clients = {code: self.hub.connect(code, Retries()) for code in (OPERATOR, DESK, ISSUER, AUDITOR)}
        self.auditor = self._clients[AUDITOR]
        self.operator = self._clients[OPERATOR]
        found_world(self.operator)
        self.agency = Agency(self._clients[DESK], self._clients[ISSUER], self.operator)

    def sequence(self) -> int:
        """Read how many decisions left something behind."""
        return self.auditor.operations.status(operations_pb2.OperationsStatusRequest()).header.sequence

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Prove that what is done inside leaves nothing behind."""
        before = self.sequence()
        yield
        assert self.sequence() == before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for client in self._clients.values():
            client.close()


@dataclass(frozen=True)
class Failure:
    """What a caller without the typed client sees of a call that failed; without `reason` the hub did not speak."""

    code: grpc.StatusCode
    text: str
    reason: str | None = None
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    advice: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)


def failure_of(channel: grpc.Channel, method: str, request: Message | bytes) -> Failure:
    """Make a call that must fail and take its error apart."""
    body = request if isinstance(request, bytes) else request.SerializeToString()
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHODS[method].path)
    try:
        call(body, timeout=CALL_TIMEOUT_S)
    except grpc.RpcError as error:
        return _failure(error)
    raise AssertionError(f"{method} was accepted")


def _failure(error: grpc.RpcError) -> Failure:
    # The stubs know only one kind of pair; both calls give pairs.
    trailer = dict(cast(Iterable[tuple[str, bytes]], error.trailing_metadata() or ()))
    text = error.details() or ""
    if "grpc-status-details-bin" not in trailer:
        return Failure(error.code(), text)
    status = status_pb2.Status.FromString(trailer["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    info, local = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
    bad = error_details_pb2.BadRequest()
    advice: dict[str, str] = {}
    for detail in status.details:
        if detail.Is(local.DESCRIPTOR):
            detail.Unpack(local)
            advice[local.locale] = local.message
        else:
            assert detail.Unpack(info) or detail.Unpack(bad), detail.type_url
    fields = [violation.field for violation in bad.field_violations]
    return Failure(error.code(), text, info.reason, info.domain, dict(info.metadata), advice, fields)
