"""A table that is opened in a spreadsheet computes nothing that somebody wrote."""

import csv
import io

from api.cli.output import Output
from api.spreadsheets import as_csv
from tests.api.conftest import report

ROWS = [["=1+1", -1], ["+84", -1.5], ["-x", None], ["@sum", 0], ["\tx", 2], ["a=b", 3], ["", 4]]
DEFUSED = [["'=1+1", "-1"], ["'+84", "-1.5"], ["'-x", ""], ["'@sum", "0"], ["'\tx", "2"]]


def read(table: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.decode(), newline="")))


def test_texts_are_defused_and_numbers_are_not():
    assert [["name", "number"], *DEFUSED, ["a=b", "3"], ["", "4"]] == read(as_csv(["name", "number"], ROWS))
    assert b"'\rx,-2\n" in as_csv(["name", "number"], [["\rx", -2]])


def test_the_command_line_writes_the_same(capfdbinary):
    Output("csv").rows("", ["name", "number"], ROWS)
    assert as_csv(["name", "number"], ROWS) == capfdbinary.readouterr().out


def test_totals_and_worklists_are_defused(client):
    """An officer's code is what a client says that it is."""
    position = client.post("/v1/events", json=report(actor="=cmd|x", team="-t1")).json()["position"]
    totals = client.get(f"/v1/totals?by=actor&format=csv&after={position}").content
    assert "'=cmd|x" == read(totals)[1][0]
    waits = client.get(f"/v1/worklist?format=csv&after={position}").content
    assert {"'=cmd|x", "'-t1"} <= set(read(waits)[1])
