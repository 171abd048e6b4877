"""The benchmarks run, at sizes that measure nothing, and tell every line of their tables."""

import json
import shutil
import subprocess
import sys

import pytest

from benchmarks import growth
from benchmarks.__main__ import TABLE
from benchmarks.memory import run_watched
from benchmarks.table import Line, Results, Section, at_least, at_most, ratio, told

STAGES = [1_000, 3_000]


def run(tmp_path, module, *options):
    """Run a benchmark; return what it wrote as JSON, and what it printed."""
    path = tmp_path / "numbers.json"
    done = subprocess.run(
        [sys.executable, "-m", module, *options, "--json", str(path)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(path.read_text())["lines"], done.stdout


def lines_of(table):
    return [(section.title, line.key, line.of) for section in table for line in section.lines]


def found(lines):
    return [(line["section"], line["key"], line["of"]) for line in lines]


def not_measured(lines):
    return {line["key"] for line in lines if line["value"] is None}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return run(folder, "benchmarks", "--dossiers", "400", "--repeats", "1", "--seconds", "1")


def test_a_bench_tells_every_line_of_its_table(bench):
    lines, printed = bench

    assert lines_of(TABLE) == found(lines)
    for section in TABLE:
        assert section.title in printed
        for line in section.lines:
            assert line.what in printed


def test_a_bench_measures_every_line_that_there_is_a_tool_for(bench):
    lines, printed = bench
    lacking = not_measured(lines)

    wanted = (
        set() if shutil.which("wrk") else {key for _, key, _ in lines_of(TABLE) if key.startswith("http.")}
    )
    # The wheel brings pgbench; a PostgreSQL of another source may not.
    assert wanted == {key for key in lacking if not key.startswith("pgbench.")}
    assert bool(lacking) == ("NOT MEASURED" in printed)


def test_a_bench_is_refused_nothing(bench):
    lines, _ = bench

    assert {"import.refused": 0} == {
        line["key"]: line["value"] for line in lines if line["key"] == "import.refused"
    }


def test_growth_tells_every_line_of_every_stage(tmp_path):
    lines, printed = run(tmp_path, "benchmarks.growth", "--stages", ",".join(map(str, STAGES)))

    assert lines_of(growth.table_of(STAGES)) == found(lines)
    # Files so small are imported by one process.
    assert {"memory.lane.1000", "memory.lane.3000"} == not_measured(lines)
    assert "NOT MEASURED" in printed
    refused = [line["value"] for line in lines if line["key"].startswith("refused.")]
    assert [0, 0] == refused


def test_growth_begins_nothing_that_has_no_room(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", "--stages", "1000,100000000"],
        capture_output=True,
        text=True,
    )

    assert 2 == done.returncode
    assert "dossiers" in done.stderr


def test_a_ratio_is_of_medians_and_aims_bound_it():
    results = Results()
    results.add("ours", 10, 40, 30)
    results.add("theirs", 10)
    lines = [
        Line("ours", "ours", aim=at_least(31)),
        ratio("ours", "theirs", "of theirs", at_least(3)),
        Line("theirs", "theirs", "ms", at_most(9)),
    ]

    assert [(30, False), (3, True), (10, False)] == [
        (one.value, one.met) for one in told([Section("all", lines)], results)
    ]


def test_what_was_not_measured_says_why_in_its_ratios_too():
    results = Results()
    results.add("ours", 1)
    results.lack("theirs", "no tool")
    lines = [
        Line("theirs", "theirs", aim=at_least(1)),
        ratio("ours", "theirs", "of theirs", at_least(1)),
        ratio("theirs", "ours", "of ours"),
        Line("forgotten", "forgotten"),
    ]

    assert [(None, None, "no tool")] * 3 + [(None, None, "it was not reached")] == [
        (one.value, one.met, one.note) for one in told([Section("all", lines)], results)
    ]


def test_memory_is_that_of_the_process_itself_and_of_its_largest_worker(tmp_path):
    worker = "import time; held = bytes(b'x') * 60_000_000; time.sleep(0.3)"
    # Another program is none of its workers.
    other = "held=$(head -c 90000000 /dev/zero | tr '\\0' x); sleep 0.3"
    program = (
        "import subprocess, sys; held = bytes(b'x') * 120_000_000\n"
        f"subprocess.run([sys.executable, '-c', {worker!r}])\n"
        f"subprocess.run(['sh', '-c', {other!r}]); print('done')"
    )
    ours = bytearray(b"x") * 300_000_000

    done = run_watched([sys.executable, "-c", program], tmp_path)

    assert ("done\n", 0) == (done.output, done.status)
    assert 120 < done.peak.parent < 160 < len(ours) / 1e6
    assert 60 < done.peak.child_max < 90
    assert done.peak.together == pytest.approx(done.peak.parent + done.peak.child_max)
