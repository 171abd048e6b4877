"""Rules about the code itself, kept by a test instead of a document."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "ledger": {"ledger"},
    "projections": {"projections", "ledger"},
    "api": {"api", "projections", "ledger"},
}
MODULES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).rglob("*.py"))]
ENVIRONMENT = {"environ", "getenv", "environb"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=str(module)):
                yield module.split(".")[0]
            case ast.Import(names=names):
                yield from (name.name.split(".")[0] for name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_fall_one_way(path):
    """api imports projections imports ledger, and never the other way."""
    folder = path.relative_to(ROOT).parts[0]
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[folder]
    if folder == "ledger":
        forbidden |= {"litestar", "click", "rich", "granian"}
    assert set() == forbidden & set(imports(path))


@pytest.mark.parametrize(
    "name",
    [
        "dossier",
        "checks",
        "commands",
        "reports",
        "unit_events",
        "target_events",
        "frozen_events",
        "frozen_reports",
        "key_events",
        *(f"decisions/{path.stem}" for path in (ROOT / "ledger" / "decisions").glob("*.py")),
        *(f"access/{path.stem}" for path in (ROOT / "ledger" / "access").glob("*.py")),
        *(f"targets/{path.stem}" for path in (ROOT / "ledger" / "targets").glob("*.py")),
        *(f"tlog/{path.stem}" for path in (ROOT / "ledger" / "tlog").glob("*.py")),
        *(f"units/{path.stem}" for path in (ROOT / "ledger" / "units").glob("*.py")),
        "history",
        "business_time",
        "events",
        "working_days",
    ],
)
def test_pure_code_stays_pure(name):
    """Decisions know no database, no random and no clock."""
    path = ROOT / "ledger" / f"{name}.py"
    text = path.read_text(encoding="utf-8")

    assert set() == {"psycopg", "random", "secrets", "os", "time"} & set(imports(path))
    assert re.search(r"\.now\(|\.today\(\)|uuid[1-8]\(", text) is None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_main_reads_the_environment(path):
    """Settings are read once, at the edge."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert path.name == "main.py" or not used & ENVIRONMENT


def test_no_registry_and_no_machine_is_named():
    """Nothing tracked names a package registry's address."""
    hosts = r"://([a-z0-9-]+\.)*(p.pi\.org|p.thonhosted\.org|npmjs\.(org|com)|debian\.org)"
    found = subprocess.run(
        ["git", "grep", "-nIE", hosts, "--", "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "" == found.stdout


def test_tests_that_the_security_page_names_are_there():
    """What is promised there is tested where it says."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", page))
    assert len(named) > 20
    assert [] == [name for name in sorted(named) if not (ROOT / name).exists()]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_statement_is_put_together_from_texts(path):
    """Values are parameters: what psycopg is given is no text that something was put into.

    Migrations put names of roles into theirs, which come from the settings alone and are quoted.
    """
    if path == ROOT / "ledger" / "migrations.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in {"execute", "executemany", "copy", "SQL"}:
            assert not is_put_together(node.args[0]), f"{path}:{node.lineno}"


def is_put_together(node):
    """Whether a text is made of others: an f-string, a sum, a %, or a format of a text."""
    match node:
        case ast.JoinedStr() | ast.BinOp(op=ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="format" | "join" | "replace")):
            return True
    return False


def test_what_is_installed_is_pinned_with_hashes():
    """Every line of what pip installs has a version and a hash, which pip compares."""
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8").replace("\\\n", "")
        pins = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert len(pins) > 10
        assert [] == [
            pin for pin in pins if not re.match(r"[\w.\[\],-]+==\S+( ;[^-]*)?\s+--hash=sha256:", pin)
        ]
