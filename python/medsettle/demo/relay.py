"""A line that loses replies: a relay between a hospital and the hub which can swallow what the hub sends back.

Owns two byte streams per connection and nothing of what they mean; TLS runs through it unread.
Invariant: what the hospital sends always arrives, and each side learns that the other has gone; only replies get lost.
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

    def lets_through(self, chunk: bytes, from_hub: bool) -> bool:
        """Say whether these bytes arrive."""
        return not (from_hub and self._losing.is_set())

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._hub)
                self._sockets += [near, far]
                for source, sink, from_hub in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._pass_on, args=(source, sink, from_hub), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, from_hub: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_BYTES):
                if self.lets_through(chunk, from_hub):
                    sink.sendall(chunk)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "LossyRelay":
        return self

    def __exit__(self, *error: object) -> None:
        for one in self._sockets:
            # A blocked accept or receive ends by a shutdown and not by a close.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
