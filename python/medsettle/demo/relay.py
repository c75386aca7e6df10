"""A line that loses replies: a relay between a hospital and the hub which can swallow what the hub sends back.

Owns two byte streams per connection and nothing of what they mean; TLS runs through it unread.
Invariant: what the hospital sends always arrives; only replies get lost.
"""

import contextlib
import socket
import threading

_BYTES = 1 << 16


class LossyRelay:
    """A port on loopback that leads to the hub; a context manager that cuts its connections."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._hub = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self._losing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def target(self) -> str:
        """Where to connect instead of to the hub."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def lose_replies(self) -> None:
        """From now on no byte of the hub gets through."""
        self._losing.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._hub)
                self._sockets += [near, far]
                threading.Thread(target=_pass_on, args=(near, far, None), daemon=True).start()
                threading.Thread(target=_pass_on, args=(far, near, self._losing), daemon=True).start()

    def __enter__(self) -> "LossyRelay":
        return self

    def __exit__(self, *error: object) -> None:
        for one in self._sockets:
            # A blocked accept or receive ends by a shutdown and not by a close.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _pass_on(source: socket.socket, sink: socket.socket, losing: threading.Event | None) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_BYTES):
            if losing is None or not losing.is_set():
                sink.sendall(chunk)
