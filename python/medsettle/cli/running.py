"""A hub as a service, from its opening to its end.

Owns the ready line, and the end of a hub that halted: it drains as on SIGTERM, since it can do nothing more.
Leaves out the service itself: rpc/server.py.
"""

import asyncio
import logging
import signal
from pathlib import Path

import uvloop

from medsettle.config import EngineSettings
from medsettle.hub import AsyncHub
from medsettle.keys import forbid_core_dumps
from medsettle.rpc.server import Listening, serve
from medsettle.v1 import operations_pb2

HALT_INTERVAL_S = 0.5
"""How often to look whether the hub halted: soon enough for whoever starts it again."""

# The hub asks itself for its status under this code; no certificate is involved.
_OWN_CODE = "MEDSETTLEHUB"


def run_hub(data: Path, keys: Path | None, kek: str | None, settings: EngineSettings, listening: Listening) -> str:
    """Open a hub and serve it on uvloop until SIGTERM, SIGINT or a halt; then drain and close it.

    Returns why the hub halted, empty when it did not.
    """
    forbid_core_dumps()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    return uvloop.run(_run_hub(data, keys, kek, settings, listening))


async def _run_hub(
    data: Path, keys: Path | None, kek: str | None, settings: EngineSettings, listening: Listening
) -> str:
    # What cannot be listened on is said before a long recovery, and before a new directory is made.
    listening.rehearse()
    async with await AsyncHub.open(data, keys=keys, kek=kek, settings=settings) as hub:
        own = hub.acting(["OPERATOR"], _OWN_CODE)
        status = await own.operations.status(operations_pb2.OperationsStatusRequest())

        def ready(port: int) -> None:
            host = listening.address.rpartition(":")[0]
            print(f"medsettle ready on {host}:{port} hub={status.hub_number} frame={status.frame_number}", flush=True)

        watch = asyncio.create_task(_stop_when_halted(hub))
        try:
            await serve(hub, listening, ready)
        finally:
            watch.cancel()
        return hub.halt_reason


async def _stop_when_halted(hub: AsyncHub) -> None:
    # Sleeping first lets the service take over the signal.
    while True:
        await asyncio.sleep(HALT_INTERVAL_S)
        if hub.halt_reason:
            signal.raise_signal(signal.SIGTERM)
            return
