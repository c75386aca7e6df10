"""A PostgreSQL cluster of its own: made in a scratch directory, reached by a socket in it, stopped and removed.

Owns where the programs are found, as whom they run and how the cluster is set.
Invariant: everything a commit promises is kept: fsync, synchronous_commit and full_page_writes are on.
Invariant: no program but those started here is touched; the cluster listens on no network and ends with this process.
Leaves out tables and load: state.py, load.py.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("initdb", "pg_isready", "postgres", "psql", "pgbench")

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "listen_addresses": "",
    "max_connections": "100",
    # As one would set it for this machine and load; the defaults are for a small one.
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "min_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "wal_buffers": "64MB",
    "jit": "off",
}
"""What differs from the defaults, and what must not."""

SUPERUSER = "postgres"

_SETPRIV = "setpriv"

_LONGEST_SOCKET_PATH = 107
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 120
_LOOK_AGAIN_S = 0.1


class Missing(Exception):
    """Something that the machine does not have; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one version, and as whom they run."""

    directory: Path
    version: str
    user: pwd.struct_passwd | None
    """Root may not run PostgreSQL; None for whoever runs this."""

    def run(self, name: str, *arguments: str, given: str | None = None) -> str:
        """Run a program to its end and give what it prints; raises RuntimeError with what it said."""
        done = subprocess.run(
            [*self._as_user(), str(self.directory / name), *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start(self, name: str, *arguments: str, log: Path) -> "subprocess.Popen[bytes]":
        """Start a program that is interrupted when this process ends, however it ends; it writes into a log."""
        command = [str(self.directory / name), *arguments]
        if shutil.which(_SETPRIV):
            command = [*(self._as_user() or [_SETPRIV, "--"])[:-1], "--pdeathsig=INT", "--", *command]
        with log.open("wb") as output:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/")

    def _as_user(self) -> list[str]:
        """Give the beginning of a command line that runs as the user.

        Not by the arguments of `subprocess`: with them it forks, and a process with gRPC in it should not.
        """
        if self.user is None:
            return []
        return [_SETPRIV, f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups", "--"]


def found_programs() -> Programs:
    """Find the newest PostgreSQL with all programs; raises Missing."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_number, reverse=True)
    if on_path := shutil.which("postgres"):
        candidates.append(Path(on_path).resolve().parent)
    for directory in candidates:
        if all((directory / name).exists() for name in PROGRAMS):
            said = subprocess.run([directory / "postgres", "--version"], capture_output=True, text=True, check=True)
            return Programs(directory, said.stdout.strip().removeprefix("postgres (PostgreSQL) "), _unprivileged())
    raise Missing(
        f"PostgreSQL is not installed here, or not all of {', '.join(PROGRAMS)}: apt-get install postgresql "
        "(its own service need not run)"
    )


def _number(directory: Path) -> int:
    version = re.match(r"\d+", directory.parent.name)
    return int(version[0]) if version else 0


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    if shutil.which(_SETPRIV) is None:
        raise Missing("root may not run PostgreSQL, and setpriv, which would make it another user, is not installed")
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Missing("root may not run PostgreSQL, and there is no user postgres or nobody: run this as another user")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that runs."""

    programs: Programs
    root: Path

    @property
    def connection(self) -> list[str]:
        """The options by which clients find it."""
        return ["--host", str(self.root), "--username", SUPERUSER, "--dbname", "postgres"]

    def sql(self, text: str) -> str:
        """Have statements carried out, and give the rows as lines; raises RuntimeError at the first error."""
        options = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]
        return self.programs.run("psql", *self.connection, *options, given=text)

    def copy(self, table: str, rows: Iterator[Sequence[object]]) -> None:
        """Load rows without NULLs, tabs and backslashes into a table."""
        lines = "".join("\t".join(map(str, row)) + "\n" for row in rows)
        self.sql(f"COPY {table} FROM STDIN;\n{lines}\\.\n")

    def bench(self, *options: str) -> str:
        """Run pgbench; its `--log` files go where the cluster may write."""
        # The database is an argument here, and no option.
        connection = [*self.connection[:-2], self.connection[-1]]
        return self.programs.run("pgbench", *options, *connection)


@contextmanager
def running(programs: Programs) -> Iterator[Cluster]:
    """Make a cluster, start it, and at the end stop and remove it; raises Missing, RuntimeError."""
    root = Path(tempfile.mkdtemp(prefix="medsettle-pg-", dir=os.environ.get("MEDSETTLE_BENCH_DIR"))).resolve()
    try:
        if programs.user is not None:
            os.chown(root, programs.user.pw_uid, programs.user.pw_gid)
        if len(f"{root}/.s.PGSQL.5432") > _LONGEST_SOCKET_PATH:
            raise Missing(f"the path of a socket in {root} is too long: set MEDSETTLE_BENCH_DIR to a shorter one")
        data, log = str(root / "data"), root / "log"
        programs.run(
            "initdb", "--pgdata", data, "--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C"
        )
        settings = SETTINGS | {"unix_socket_directories": str(root), "unix_socket_permissions": "0700"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = programs.start("postgres", "-D", data, *options, log=log)
        try:
            cluster = Cluster(programs, root)
            _await_ready(cluster, server, log)
            yield cluster
        finally:
            # Its fast shutdown: clients are cut off, and nothing that was committed is lost.
            server.send_signal(signal.SIGINT)
            server.wait(_STOP_TIMEOUT_S)
    finally:
        shutil.rmtree(root)


def _await_ready(cluster: Cluster, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end_s = time.monotonic() + _START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < end_s:
        try:
            cluster.programs.run("pg_isready", "--quiet", *cluster.connection)
        except RuntimeError:
            time.sleep(_LOOK_AGAIN_S)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start; it said:\n{log.read_text(errors='replace')}")
