"""Who may know whom: the arrows of the house, read from the manifests and the imports."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "medsettle"

# Each crate may know those before it; `core` knows nobody, so that rules stay free of bytes, files and keys.
CRATES = {
    "cryptogram": set(),
    "core": set(),
    "wire": {"cryptogram", "core"},
    "import": {"core", "wire"},
    "engine": {"cryptogram", "core", "wire"},
    "binding": {"cryptogram", "core", "wire", "import", "engine"},
}

# Only the embedding API and the pure functions touch the extension.
KNOWS_EXTENSION = {"hub", "cryptogram", "benefit", "importing", "journal", "keys"}

# What a module may import of the package; the first name of a dotted module decides.
MODULES = {
    "__init__": {"hub", "client", "errors", "config", "cryptogram", "benefit", "journal", "jsonform", "keys", "v1"},
    "__main__": {"cli"},
    "v1": {"v1"},
    "errors": {"v1"},
    "config": {"auth"},
    "jsonform": {"errors"},
    "client": {"v1", "errors", "config", "auth", "exchange", "witness"},
    "exchange": {"v1", "witness"},
    "witness": {"v1", "errors"},
    "hub": {"v1", "errors", "config", "auth"},
    "cryptogram": {"errors"},
    "benefit": {"v1", "errors", "jsonform"},
    "journal": {"v1", "errors", "config"},
    "keys": {"errors"},
    "export": {"export", "v1"},
    "softcard": set(),
    "auth": {"auth"},
    "ops": {"ops", "v1"},
    "rpc": {"rpc", "hub", "v1", "errors", "config", "auth", "ops"},
    "importing": {"importing", "hub", "client", "v1", "errors", "config", "auth", "witness"},
    "demo": {"demo", "client", "v1", "errors", "config", "auth", "softcard", "jsonform", "keys", "benefit", "journal"},
    "bench": {"bench", "demo", "hub", "client", "v1", "errors", "config", "auth", "softcard", "jsonform", "journal"},
    "cli": {"cli", "rpc", "hub", "client", "v1", "errors", "config", "auth", "jsonform", "keys", "benefit", "journal"}
    | {"demo", "export", "bench", "importing"},
}


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_knows_only_those_before_it(crate: str) -> None:
    manifest = tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text())
    known = {
        name.removeprefix("medsettle-") for name in manifest.get("dependencies", {}) if name.startswith("medsettle-")
    }
    assert known <= CRATES[crate], f"{crate} must not depend on {known - CRATES[crate]}"


def test_every_crate_has_its_arrows() -> None:
    assert {path.parent.name for path in (ROOT / "rust").glob("*/Cargo.toml")} == set(CRATES)


def test_protobuf_is_known_to_wire_alone() -> None:
    for crate in CRATES:
        manifest = tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text())
        assert ("prost" in manifest.get("dependencies", {})) == (crate == "wire"), crate


def test_python_is_known_to_binding_alone() -> None:
    for crate in CRATES:
        manifest = tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text())
        assert ("pyo3" in manifest.get("dependencies", {})) == (crate == "binding"), crate


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if not path.name.endswith("_pb2.py"))


def _imported(path: Path) -> set[str]:
    """Return the names directly below `medsettle` that a file imports, those for type checking included."""
    names: set[str] = set()
    depth = path.relative_to(PACKAGE.parent).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(depth[: len(depth) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("medsettle.")}


def _owner(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_it_may_know(path: Path) -> None:
    owner = _owner(path)
    imported = _imported(path) - {owner, "__version__"}
    if owner in KNOWS_EXTENSION:
        imported.discard("_core")
    assert owner in MODULES, f"{owner} has no arrows yet: add it where it belongs"
    assert imported <= MODULES[owner], f"{path.name} must not import {sorted(imported - MODULES[owner])}"


def test_the_messages_and_the_client_import_without_extension_and_server() -> None:
    forbidden = {"_core", "hub", "rpc"}
    for owner in ("v1", "client", "witness", "errors", "config", "auth", "softcard"):
        assert not MODULES[owner] & forbidden
