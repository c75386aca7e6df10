"""medsettle: settlement of medical insurance across regions.

Owns the public names. Each is imported when it is first asked for, so that a client needs neither the native
extension nor the server's packages.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medsettle import benefit, cryptogram, journal, jsonform, keys
    from medsettle.client import AsyncClient, Client, Retries, TlsFiles, connect, connect_async
    from medsettle.config import EngineSettings
    from medsettle.errors import (
        CATALOG,
        BackupUnusable,
        CorruptJournal,
        DirectoryLocked,
        Halted,
        HubUnusable,
        KeyRingError,
        MedsettleError,
        NoAnswer,
        Overloaded,
        Recovering,
        Rejected,
        ServerForgot,
        Unavailable,
    )
    from medsettle.hub import AsyncHub, Hub, ManualClock

__all__ = [
    "CATALOG",
    "AsyncClient",
    "AsyncHub",
    "BackupUnusable",
    "Client",
    "CorruptJournal",
    "DirectoryLocked",
    "EngineSettings",
    "Halted",
    "Hub",
    "HubUnusable",
    "KeyRingError",
    "ManualClock",
    "MedsettleError",
    "NoAnswer",
    "Overloaded",
    "Recovering",
    "Rejected",
    "Retries",
    "ServerForgot",
    "TlsFiles",
    "Unavailable",
    "benefit",
    "connect",
    "connect_async",
    "cryptogram",
    "journal",
    "jsonform",
    "keys",
]

_MODULES = frozenset({"benefit", "cryptogram", "journal", "jsonform", "keys"})
_HOMES = {
    "client": ("AsyncClient", "Client", "Retries", "TlsFiles", "connect", "connect_async"),
    "config": ("EngineSettings",),
    "errors": (
        "CATALOG",
        "BackupUnusable",
        "CorruptJournal",
        "DirectoryLocked",
        "Halted",
        "HubUnusable",
        "KeyRingError",
        "MedsettleError",
        "NoAnswer",
        "Overloaded",
        "Recovering",
        "Rejected",
        "ServerForgot",
        "Unavailable",
    ),
    "hub": ("AsyncHub", "Hub", "ManualClock"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"medsettle.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'medsettle' has no attribute {name!r}")
    value: object = getattr(import_module(f"medsettle.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
