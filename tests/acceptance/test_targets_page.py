"""The example of docs/targets.md, run as a reader runs it."""

import re

from tests.acceptance.test_readme import ROOT, place, run

PAGE = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")

__all__ = ["place"]


def test_the_worked_example(place):
    """Every command works, and prints what the page shows."""
    folder, environment = place
    [commands] = re.findall(r"<!-- targets -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    printed = run("bash", "-euo", "pipefail", "-c", commands, cwd=folder, env=environment)

    [table] = re.findall(r"^┏.*?┘$", PAGE, re.MULTILINE | re.DOTALL)
    assert table in printed
    assert "22 days left, 16 of them working days" in printed
    for code, part in (("16096", "73"), ("16099", "59"), ("16102", "68")):
        assert re.search(rf"│ {code} │ +{part} │", printed)
    [without] = re.findall(r"parts set: 3; without a part: (.*)", printed)
    assert 21 == len(without.split(", "))
