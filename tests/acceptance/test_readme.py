"""The README, run as a newcomer runs it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(name):
    """Return the code block that follows the mark of that name."""
    match = re.search(rf"<!-- {name} -->\n```(?:sh|python)\n(.*?)```", README, re.DOTALL)
    assert match is not None, name
    return match[1]


@pytest.fixture
def place(tmp_path_factory):
    """An empty folder whose name is short enough for a socket, and the newcomer's environment."""
    folder = tmp_path_factory.mktemp("r")
    kept = ("LANG", "TERM", "PIP_CERT", "SSL_CERT_FILE", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PYENV_ROOT")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment["HOME"] = str(folder)
    yield folder, environment
    for home in (folder / "tour", folder / ".local/share/activation-ledger", folder / "demo"):
        if home.exists():
            run("ledger", "--home", str(home), "stop", cwd=folder, env=environment)


def run(*command, cwd, env, timeout=240):
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def without_times(text):
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "(recorded)", text)


def test_tour(place):
    """Every command of the tour works and prints what the README shows; then the units change, and no count is lost."""
    folder, environment = place
    printed = run("bash", "-euo", "pipefail", "-c", block("tour"), cwd=folder, env=environment)

    # As printed, but for ids and times of recording.
    [totals, history] = re.findall(r"^┏.*?┘$", README, re.MULTILINE | re.DOTALL)
    assert totals in printed
    assert without_times(history) in without_times(printed)
    assert (
        "level 2: activated since 2024-10-08 21:10 +0700, attempt 1, collected by 15769 Xã Bình Sơn"
        in printed
    )
    assert "5,718" in printed

    environment["LEDGER_HOME"] = str(folder / "tour")
    printed = run("bash", "-euo", "pipefail", "-c", block("units"), cwd=folder, env=environment)
    assert "Huyện Nga Sơn" in printed
    assert "Phường Hàm Rồng" in printed
    then, restated = re.findall(r"^│ total .*$", printed, re.MULTILINE)
    assert re.findall(r"[\d,]+", then) == re.findall(r"[\d,]+", restated)
    assert 1 == len(re.findall(r"^│ +│ unallocated +│", printed, re.MULTILINE))


def test_library(place, tmp_path):
    """The ten lines work from an installed wheel, in an empty directory, with nothing of the source in reach."""
    folder, environment = place
    source = tmp_path / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".hypothesis", ".mypy_cache"),
    )
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "dist"),
        str(source),
        cwd=folder,
        env=environment,
    )
    [wheel] = (tmp_path / "dist").glob("*.whl")
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path / "installed"),
        str(wheel),
        cwd=folder,
        env=environment,
    )
    (folder / "snippet.py").write_text(
        f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r})\n" + block("library"),
        encoding="utf-8",
    )
    printed = run(sys.executable, "snippet.py", cwd=folder, env=environment)

    assert ["[(1, 'collected'), (2, 'approved'), (3, 'activated')]", "589 1"] == printed.splitlines()
    assert len(block("library").splitlines()) <= 15
    # The next block goes on where it ended.
    snippet = (folder / "snippet.py").read_text(encoding="utf-8").splitlines()[0]
    (folder / "snippet.py").write_text(f"{snippet}\n{block('mistakes')}", encoding="utf-8")
    state, events = run(sys.executable, "snippet.py", cwd=folder, env=environment).splitlines()
    assert "approved 14761" == state
    told = "('collected', True, [5]), ('approved', True, []), ('activated', False, [4])"
    assert f"[{told}, ('voided', True, []), ('reassigned', True, [])]" == events


def test_curl(place):
    """The requests of the README are answered as it says, after the library's example too."""
    numbers = [set(re.findall(r"\b\d{12}\b", block(name))) for name in ("library", "curl")]
    assert all(numbers)
    assert set() == set.intersection(*numbers)
    folder, environment = place
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment["LEDGER_HOME"] = str(folder / "tour")
    run(
        "ledger", "units", "load", "units_2024.csv", "--valid-from", "2021-01-01", cwd=folder, env=environment
    )
    server = subprocess.Popen(
        ["ledger", "serve", "--port", str(port)],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = []
        while not said or "serving at" not in said[-1]:
            said.append(server.stderr.readline())
            assert said[-1], said
        assert ["alk_" in line for line in said].count(True) == 1
        script = block("curl").replace(":8000", f":{port}")
        printed = run("bash", "-euo", "pipefail", "-c", script, cwd=folder, env=environment)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)

    assert '"version":1' in printed
    assert '"duplicate":false' in printed
    assert '"sum":{"collected":' in printed


def test_demo(place):
    """make demo installs from the pins and fills a ledger, in a copy of the tracked files alone."""
    folder, environment = place
    copy = folder / "clone"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".hypothesis", ".mypy_cache", "shared"),
    )
    environment["LEDGER_HOME"] = str(folder / "demo")
    environment["PATH"] = os.environ["PATH"]
    began = time.monotonic()
    printed = run(
        "make",
        "demo",
        "DEMO_FLAGS=--no-serve --dossiers 300",
        f"PYTHON={sys.executable}",
        cwd=copy,
        env=environment,
        timeout=280,
    )
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    assert "Huyện Nga Sơn" in printed
    assert time.monotonic() - began < 280
