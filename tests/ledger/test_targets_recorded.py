"""Targets and denominators in a ledger, on a real PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from ledger import DenominatorRow, Ledger, TargetRow
from ledger.errors import DossierUnknownError, FileInvalidError, LedgerError, TargetsRefusedError
from ledger.target_events import TARGETS_STREAM
from ledger.units.commands import MergeUnits
from tests.conftest import check_ledger
from tests.ledger.reports import collect

UNITS = 586
FROM, DEADLINE = date(2024, 10, 1), date(2024, 12, 31)
SUSPECT = {"15361", "15409", "15634", "15661", "16144", "16540", "16597", "16624"}


def row(unit: str = "14758", **fields) -> TargetRow:
    whole = {"measure": "activated", "number": 100, "from_day": FROM, "deadline": DEADLINE} | fields
    return TargetRow(unit=unit, **whole)


def eligible(ledger: Ledger, values: dict[str, int | None]) -> None:
    rows = [DenominatorRow(unit=code, value=value) for code, value in values.items()]
    ledger.set_denominators(rows, name="eligible", from_day=FROM, source="C06")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "targets.csv"
    path.write_text(
        "unit,measure,level,number,percent,denominator,from,deadline\n"
        "14758,activated,2,,50,eligible,2024-10-01,2024-12-31\n"
        "38,activated,2,900000,,,2024-10-01,2024-12-31\n",
        encoding="utf-8",
    )
    return path


def test_a_file_is_loaded_whole_and_the_second_time_nothing_changes(ledger, file):
    eligible(ledger, {"14758": 2069})
    done = ledger.set_targets(file, issuer="Bộ Công an")
    assert (2, 0, UNITS + 3) == (done.recorded, done.unchanged, done.position)
    done = ledger.set_targets(file, issuer="Bộ Công an")
    assert (0, 2, UNITS + 3) == (done.recorded, done.unchanged, done.position)
    check_ledger(ledger, length=UNITS + 3)


def test_another_process_sees_them(ledger, file, open_again):
    eligible(ledger, {"14758": 2069})
    ledger.set_targets(file, issuer="Bộ Công an")
    again = open_again()
    assert ledger.targets() == again.targets()
    assert [1035, 900_000] == [again.targets().number(one, FROM) for one in again.targets().standing()]
    again.withdraw_targets([ledger.targets().standing()[0].id], reason="mistyped")
    assert 1 == len(ledger.targets().standing())
    check_ledger(ledger, length=UNITS + 4)


def test_what_held_at_a_position_can_be_asked(ledger, file):
    """A target that was withdrawn later stood then; a denominator that was replaced later held then."""
    eligible(ledger, {"14758": 2000})
    done = ledger.set_targets(file, issuer="Bộ Công an")
    [target_id, _] = ledger.targets().by_id
    eligible(ledger, {"14758": 3000})
    ledger.withdraw_targets([target_id], reason="mistyped")
    then, now = ledger.targets(at=done.position), ledger.targets()
    assert (2, 1) == (len(then.standing()), len(now.standing()))
    unit_id = now.by_id[target_id].unit_id
    assert [2000, 3000] == [one.denominator(unit_id, "eligible", FROM).value for one in (then, now)]


def test_a_file_with_one_wrong_line_records_nothing(ledger, tmp_path):
    path = tmp_path / "targets.csv"
    path.write_text(
        "unit,measure,number,from,deadline\n14758,collected,5,2024-10-01,2024-12-31\n99999,collected,5,2024-10-01,\n",
        encoding="utf-8",
    )
    with pytest.raises(TargetsRefusedError, match="line 3: there is no deadline; line 3: no unit ever had"):
        ledger.set_targets(path, issuer="Bộ Công an")
    with pytest.raises(FileInvalidError):
        ledger.set_denominators(path, name="eligible", from_day=FROM, source="C06")
    check_ledger(ledger, length=UNITS)


def test_a_dry_run_tells_and_records_nothing(ledger, file):
    told = ledger.set_denominators(
        [DenominatorRow(unit="14758", value=None)], name="eligible", from_day=FROM, source="x", dry_run=True
    )
    assert (1, 0, ("14758",), 0) == (told.recorded, told.unchanged, told.not_available, told.position)
    with pytest.raises(TargetsRefusedError):
        ledger.set_targets(file, issuer="Bộ", dry_run=True)
    assert 1 == ledger.set_targets([row()], issuer="Bộ", dry_run=True).recorded
    check_ledger(ledger, length=UNITS)
    ledger.set_targets([row()], issuer="Bộ")
    [target_id] = ledger.targets().by_id
    assert 1 == ledger.withdraw_targets([target_id], reason="x", dry_run=True).recorded
    check_ledger(ledger, length=UNITS + 1)


def test_a_plan_is_replaced_in_one_commit(ledger, file):
    """And tried before; there is no moment without a target."""
    ledger.set_targets([row("38", number=5, level=2), row("401")], issuer="Bộ Công an")
    eligible(ledger, {"14758": 2069})
    with pytest.raises(TargetsRefusedError):
        ledger.set_targets(file, issuer="Bộ Công an")
    tried = ledger.set_targets(file, issuer="Bộ Công an", replace=True, dry_run=True)
    done = ledger.set_targets(file, issuer="Bộ Công an", replace=True)
    assert (3, 1, 0) == (done.recorded, done.withdrawn, done.unchanged)
    assert (3, 1, 0, 0) == (tried.recorded, tried.withdrawn, tried.unchanged, tried.position)
    assert 3 == len(ledger.targets().standing())
    again = ledger.set_targets(file, issuer="Bộ Công an", replace=True)
    assert (0, 0, 2, done.position) == (again.recorded, again.withdrawn, again.unchanged, again.position)
    check_ledger(ledger, length=UNITS + 6)


def test_a_target_is_handed_down_and_taken_back_with_its_parts(ledger):
    communes = {
        unit.code: 100 + number
        for number, unit in enumerate(ledger.units(on=FROM, under="380"))
        if unit.level == "commune"
    }
    eligible(ledger, communes | {"14758": None})
    ledger.set_targets([row("380", number=10_000)], issuer="Bộ")
    found, done = ledger.cascade_target(
        "380", to_level="commune", denominator="eligible", issuer="Bộ", parts_issuer="Tỉnh"
    )
    assert (len(communes) - 1, 0, ("14758",)) == (done.recorded, done.unchanged, done.not_available)
    parts = [one for one in ledger.targets().standing() if one.issuer == "Tỉnh"]
    assert 10_000 == found.whole == sum(one.number for one in parts)
    assert {found.target.id} == {one.part_of for one in parts}
    _, again = ledger.cascade_target(
        "380", to_level="commune", denominator="eligible", issuer="Bộ", parts_issuer="Tỉnh"
    )
    assert (0, len(parts)) == (again.recorded, again.unchanged)
    ledger.withdraw_targets([found.target.id], reason="replaced", parts=True)
    assert [] == ledger.targets().standing()
    check_ledger(ledger)


def test_the_population_file_of_the_package_is_loaded_as_it_is(database, identities, clock, tmp_path):
    """Eight of its values are corrupt at the source: those are not available."""
    with Ledger(database, identities, now=clock) as ledger:
        ledger.load_units("units_2025.csv", valid_from=date(2025, 7, 1))
        done = ledger.set_denominators(
            "population_2025_communes.csv", name="residents", from_day=date(2025, 7, 1), source="see README"
        )
        assert (166, SUSPECT) == (done.recorded, set(done.not_available))
        targets, tree = ledger.targets(), ledger.tree()
        day = date(2025, 12, 31)
        held = {
            code: targets.denominator(tree.resolve(code, day).id, "residents", day).value
            for code in ("14758", "15361", "16624")
        }
        assert {"14758": 63166, "15361": None, "16624": None} == held


def test_keepers_set_targets_at_once(database, ledger, identities, clock):
    """Whoever comes first has set them; the others find them there, or are refused."""
    begin = threading.Barrier(6)

    def keep(number: int) -> int | str:
        with Ledger(database, identities, now=clock) as keeper:
            keeper.tree()
            begin.wait()
            try:
                # Every other one wants something else.
                return keeper.set_targets([row(number=100 + number % 2)], issuer="Bộ").recorded
            except LedgerError as error:
                return error.code

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(keep, range(6)), key=str)
    assert [0, 0, 1, *["targets_refused"] * 3] == outcomes
    check_ledger(ledger, length=UNITS + 1)


def test_targets_are_decided_again_where_the_units_changed(ledger, open_again):
    """A code that means nobody any more since another process changed the units is refused, however late that is learnt."""
    stale = iter([ledger.tree()])
    fresh = ledger.tree
    ledger.tree = lambda: next(stale, None) or fresh()
    open_again().change_units(
        MergeUnits(units=("14758",), into="14761", effective=date(2024, 9, 1), decree="NQ 1")
    )
    with pytest.raises(TargetsRefusedError, match="the code 14758 was not valid on 2024-10-01"):
        ledger.set_targets([row()], issuer="Bộ")
    check_ledger(ledger, length=UNITS + 1)


def test_reports_go_on_beside_targets(ledger):
    """Theirs is another stream: neither makes the other be decided again."""
    ledger.set_targets([row()], issuer="Bộ")
    ledger.record(collect())
    with pytest.raises(DossierUnknownError):
        ledger.history(dossier_id=TARGETS_STREAM)
    check_ledger(ledger, length=UNITS + 2)
