"""Reasons and four eyes are settings of whoever runs the ledger; over HTTP they are seen to hold."""

import csv
from collections.abc import Callable
from importlib.resources import files

import pytest

from ledger import Ledger, Policy, read_reasons
from ledger.errors import FileEmptyError, FileInvalidError, NotUtf8Error
from ledger.reasons import COLUMNS, DEFAULT_REASONS, parse_reasons
from tests.api.conftest import check_problem, report
from tests.conftest import check_ledger
from tests.ledger.reports import collect, reject

OWN = """\
type,code,vi,en,before_activation
rejected,blurred,Ảnh mờ,Photo blurred,
rejected,other,"Lý do khác, ghi rõ trong ghi chú","Another reason, told in the note",
withdrawn,wrong_person,Nhầm người,Another person,
locked,death,Chủ thể danh tính điện tử chết,The holder has died,yes
locked,court,Toà án yêu cầu,A court asks,
unlocked,ended,Hết căn cứ khoá,The ground has ended,
voided,mistyped,Nhập sai,Mistyped,
"""


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture
def ledger(database, identities, clock, policy):
    """The ledger of the tests, run by the policy of the test."""
    with Ledger(database, identities, policy=policy, now=clock) as ledger:
        yield ledger


@pytest.fixture
def post(client) -> Callable:
    def send(key: str, type_: str, **fields: object):
        return client.post("/v1/events", json=report(key, type=type_, **fields))

    return send


class TestTheListOfReasons:
    def test_is_told_as_it_stands_in_its_file(self, client):
        """By default the one that comes with the package."""
        text = (files("ledger") / "data" / "reasons.csv").read_text(encoding="utf-8")
        expected = [
            row | {"before_activation": row["before_activation"] == "yes"}
            for row in csv.DictReader(text.splitlines())
        ]
        answer = client.get("/v1/reasons")

        assert 200 == answer.status_code
        assert {"rows": expected} == answer.json()
        assert "Ảnh không đạt" in answer.text

    def test_takes_no_parameters(self, client):
        check_problem(client.get("/v1/reasons?type=locked"), 400, "bad_request")


class TestAListOfOnesOwn:
    @pytest.fixture
    def policy(self) -> Policy:
        return Policy(reasons=parse_reasons(OWN))

    def test_is_told_in_its_order_with_its_letters(self, client):
        rows = client.get("/v1/reasons").json()["rows"]
        expected = [line.split(",")[:2] for line in OWN.splitlines()[1:]]
        assert expected == [[row["type"], row["code"]] for row in rows]
        assert ("Ảnh mờ", "Lý do khác, ghi rõ trong ghi chú") == (rows[0]["vi"], rows[1]["vi"])
        assert ["death"] == [row["code"] for row in rows if row["before_activation"]]

    def test_is_the_one_that_reports_are_checked_against(self, post):
        """What is off it is refused with the codes that are on it; what it adds is taken."""
        assert 201 == post("a1", "collected").status_code
        problem = check_problem(post("a2", "rejected", unit=None, reason="photo"), 400, "invalid_field")
        assert "blurred" in problem["detail"]
        assert 201 == post("a2", "rejected", unit=None, reason="blurred").status_code

    def test_says_which_locks_meet_an_account_that_is_not_active(self, post):
        """The court's does not, the holder's death does."""
        post("a1", "collected")
        post("a2", "approved", unit=None)
        check_problem(post("a3", "locked", reason="court"), 409, "not_active")
        assert 201 == post("a3", "locked", reason="death").status_code

    def test_leaves_what_was_recorded_by_another_list(self, client, post, database, identities, clock):
        """The reason that was taken off is refused from then on; history and retries still tell it."""
        with Ledger(database, identities, now=clock) as before:
            before.tree()
            receipt = before.record(collect())
            before.record(reject())
        path = f"/v1/dossiers/{receipt.dossier_id}/history"

        assert ["photo"] == [
            event["reason"] for event in client.get(path).json()["events"] if event["type"] == "rejected"
        ]
        check_problem(post("b1", "rejected", unit=None, reason="photo"), 400, "invalid_field")


class TestAFileOfReasons:
    def test_that_is_wrong_is_refused_with_every_line(self, tmp_path):
        """By the name of the file, with all there is to mend: nobody mends one line after the other."""
        path = tmp_path / "reasons.csv"
        lines = OWN.splitlines()
        lines[1] = "rejected,blurred,,Photo blurred,"
        lines[2] = "refused,other,Lý do khác,Another reason,"
        lines[5] = "locked,court order,Toà án yêu cầu,A court asks,"
        lines.append("voided,mistyped,Nhập sai,Mistyped,")
        lines.append("voided,twice,Trùng,Twice,yes")
        lines.append("voided,short")
        path.write_text("\n".join(lines), encoding="utf-8")
        with pytest.raises(FileInvalidError) as refused:
            read_reasons(path)
        told = str(refused.value)

        assert told.startswith(f"the list of reasons {path}: line 2: blurred needs a label in Vietnamese")
        for line in ("line 3", "line 6", "line 9", "line 10", "line 11", "no reason for rejected"):
            assert line in told, line
        assert "line 4" not in told

    @pytest.mark.parametrize(
        ("content", "error", "match"),
        [
            ("", FileEmptyError, "holds no reasons"),
            (",".join(COLUMNS), FileEmptyError, "holds no reasons"),
            ("type,code,vi\nrejected,a,b", FileInvalidError, "the header must be type,code,vi,en"),
            (OWN.encode("utf-16"), NotUtf8Error, "is not UTF-8"),
            (OWN.replace('ghi chú"', "ghi chú"), FileInvalidError, "line "),
        ],
    )
    def test_that_is_no_list_is_refused_by_its_name(self, tmp_path, content, error, match):
        path = tmp_path / "reasons.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(error, match=match) as refused:
            read_reasons(path)
        assert str(path) in str(refused.value)

    def test_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(FileInvalidError, match=r"none\.csv cannot be read: No such file"):
            read_reasons(tmp_path / "none.csv")

    def test_of_a_spreadsheet_is_read(self, tmp_path):
        """With a byte order mark, its columns in another order, and empty lines."""
        path = tmp_path / "reasons.csv"
        turned = [row[::-1] for row in csv.reader(OWN.splitlines())]
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows([turned[0], [], *turned[1:]])
        assert parse_reasons(OWN) == read_reasons(path)
        assert parse_reasons(OWN) != DEFAULT_REASONS


class TestFourEyes:
    @pytest.fixture
    def policy(self) -> Policy:
        return Policy(four_eyes=True)

    def test_let_a_correction_count_once_another_officer_has_confirmed_it(self, client, post, ledger):
        """Asked: nothing counts. Confirmed by whoever asked: refused. Confirmed by another: it counts."""

        def collected() -> int:
            after = ledger.head().position
            return client.get(f"/v1/totals?unit=14758&after={after}").json()["sum"]["collected"]

        def void(key: str, **fields: object):
            return post(key, "voided", reason="mistyped", unit=None, **fields)

        first = post("a1", "collected").json()
        assert 1 == collected()
        asked = void("v1", corrects=first["version"], actor="th-1")
        assert 201 == asked.status_code
        assert 1 == collected()
        confirm = {"corrects": asked.json()["version"], "unit": None}
        check_problem(post("f1", "confirmed", actor="th-1", **confirm), 409, "same_officer")
        check_problem(post("f1", "confirmed", actor="TH-1", **confirm), 409, "same_officer")
        assert 1 == collected()
        assert 201 == post("f1", "confirmed", actor="th-2", **confirm).status_code
        assert 0 == collected()

        events = client.get(f"/v1/dossiers/{first['dossier_id']}/history").json()["events"]
        assert [("collected", False, [2]), ("voided", True, [3]), ("confirmed", True, [])] == [
            (event["type"], event["standing"], event["corrected_by"]) for event in events
        ]
        assert ["th-0042", "th-1", "th-2"] == [event["actor"] for event in events]
        check_ledger(ledger)

    def test_are_no_matter_for_what_is_no_correction(self, client, post):
        """A step counts at once."""
        position = post("a1", "collected").json()["position"]
        assert 1 == client.get(f"/v1/totals?after={position}").json()["sum"]["collected"]


def test_by_default_a_correction_counts_at_once(client, post):
    """Nobody has to confirm it."""
    post("a1", "collected")
    answer = post("v1", "voided", reason="mistyped", corrects=1, unit=None)
    totals = client.get(f"/v1/totals?after={answer.json()['position']}").json()
    assert 0 == totals["sum"]["collected"]
