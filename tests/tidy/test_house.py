"""The house stays as it was drawn: top level, heads of files, their length, and what never stands in them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "Cargo.lock", "Cargo.toml", "LICENSE", "Makefile", "README.md", "benches",
    "protos", "pyproject.toml", "python", "rust", "rustfmt.toml", "tests",
}  # fmt: skip

# Soft bounds are 400 lines a file and 70 a function; these are where a change has to be split.
MAX_FILE_LINES = 550
MAX_FUNCTION_LINES = 100

REGISTRY_HOSTS = ("pypi" + ".org", "files.pythonhosted" + ".org", "static.crates" + ".io", "registry.npmjs" + ".org")


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def _is_generated(path: Path) -> bool:
    return "_pb2" in path.name or path.parent.name == "gen" or path.name in {"Cargo.lock", "facade.py"}


def _sources(*endings: str) -> list[Path]:
    return [path for path in _tracked() if path.suffix in endings and not _is_generated(path)]


def test_nothing_new_stands_at_the_top() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in _tracked()} <= TOP_LEVEL


def test_every_source_opens_by_saying_what_it_owns() -> None:
    def opens(path: Path) -> bool:
        text = path.read_text()
        if path.suffix == ".rs":
            return text.startswith("//! ")
        return not text.strip() or ast.get_docstring(ast.parse(text)) is not None

    silent = [str(path.relative_to(ROOT)) for path in _sources(".rs", ".py") if not opens(path)]
    assert not silent


def test_no_file_grows_beyond_one_idea() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in _sources(".rs", ".py")}
    assert not {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}


def test_no_function_grows_beyond_a_screen_or_two() -> None:
    long = {}
    for path in _sources(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    for path in _sources(".rs"):
        # rustfmt puts the end of a function on a line of its own, at the indentation of its head.
        for match in re.finditer(r"^( *)(?:pub(?:\([a-z]+\))? )?fn (\w+).*?^\1\}$", path.read_text(), re.M | re.S):
            length = match.group(0).count("\n") + 1
            if length > MAX_FUNCTION_LINES:
                long[f"{path.relative_to(ROOT)}:{match.group(2)}"] = length
    assert not long


def test_no_file_records_where_packages_were_downloaded() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in _tracked()
        for host in REGISTRY_HOSTS
        if host.encode() in path.read_bytes()
    ]
    assert not found


def test_the_generated_python_is_what_the_protos_say() -> None:
    checked = subprocess.run(
        [sys.executable, "protos/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
