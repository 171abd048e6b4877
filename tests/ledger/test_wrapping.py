"""The wrapping key is rotated while everything goes on: at any moment every number and every note opens."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
import pytest

from ledger import Ledger, wrapping
from ledger.database import Database
from ledger.errors import (
    ContentionError,
    FieldInvalidError,
    KeyFileInvalidError,
    KeyFileMissingError,
    KeyFileWrongError,
    KeyNeededError,
)
from ledger.identities import read_key_file
from ledger.key_files import add_wrapping_key, create_key_file, remove_wrapping_key
from ledger.wrapping import retire, rotate, wrapped_with
from tests.conftest import Clock, check_ledger
from tests.ledger.reports import CITIZEN, citizen, collect

PEOPLE = 50
ID = UUID(int=1)
KILLS = int(os.environ.get("LEDGER_TEST_KILLS", "6"))


@pytest.fixture
def people(ledger: Ledger) -> list:
    """Fifty citizens, each with a note; return their dossiers."""
    outcomes = ledger.record_many(
        [collect(citizen=citizen(number), note=f"note {number:02}") for number in range(PEOPLE)]
    )
    return [receipt.dossier_id for receipt in outcomes]


@pytest.fixture
def as_now(database: Database, key_file: Path) -> Iterator[Callable[[], Ledger]]:
    """Open the ledger with the key file as it is now."""
    opened: list[Ledger] = []

    def again() -> Ledger:
        opened.append(Ledger(database, read_key_file(key_file), now=Clock()))
        return opened[-1]

    yield again
    for ledger in opened:
        ledger.close()


def used(database: Database, operator: psycopg.Connection) -> dict[int, int]:
    return wrapped_with(operator, database)


def names(key_file: Path) -> list[str]:
    return [line.split(":")[0] for line in key_file.read_text().splitlines()[1:]]


def check_all_open(ledger: Ledger, people: list) -> None:
    for number, dossier_id in enumerate(people):
        assert citizen(number) == ledger.reveal(dossier_id)
        assert [f"note {number:02}"] == [event.note for event in ledger.history(dossier_id=dossier_id).events]
    check_ledger(ledger)


def test_rotated(ledger, database, key_file, people, operator, as_now):
    """Every citizen is wrapped with the new key; who runs on with the old file in memory finds the new one."""
    before = operator.execute("SELECT lookup, dossier_id, sealed FROM citizens ORDER BY 1").fetchall()
    told: list[tuple[int, int]] = []
    done = rotate(database, key_file, on_progress=lambda *numbers: told.append(numbers))

    assert (2, True, PEOPLE, 0) == (done.wrapping_key, done.added, done.rewrapped, done.behind)
    assert [(PEOPLE, PEOPLE)] == told
    assert {2: PEOPLE} == used(database, operator)
    assert before == operator.execute("SELECT lookup, dossier_id, sealed FROM citizens ORDER BY 1").fetchall()
    check_all_open(ledger, people)
    check_all_open(as_now(), people)


def test_the_secret_that_finds_citizens_stays(database, key_file, people):
    """Another would give every citizen a second dossier."""
    before = read_key_file(key_file)
    text = key_file.read_text()
    rotate(database, key_file)
    assert before.check() == read_key_file(key_file).check()
    assert before.lookup(CITIZEN) == read_key_file(key_file).lookup(CITIZEN)
    assert key_file.read_text().startswith(text)
    assert ["lookup", "wrap-1", "wrap-2"] == names(key_file)


def test_a_rotation_that_was_not_ended_is_gone_on_with(database, key_file, people, operator, monkeypatch):
    """No key is added before all are wrapped with the newest."""
    assert rotate(database, key_file, add_only=True).added
    assert {1: PEOPLE} == used(database, operator)
    monkeypatch.setattr(wrapping, "BATCH_ROWS", 20)

    def killed(done: int, _all: int) -> None:
        raise InterruptedError(done)

    with pytest.raises(InterruptedError):
        rotate(database, key_file, on_progress=killed)
    assert {1: PEOPLE - 20, 2: 20} == used(database, operator)
    done = rotate(database, key_file)
    assert (2, False, PEOPLE - 20, 0) == (done.wrapping_key, done.added, done.rewrapped, done.behind)
    done = rotate(database, key_file)
    assert (3, True, PEOPLE, 0) == (done.wrapping_key, done.added, done.rewrapped, done.behind)


def test_a_process_that_seals_with_the_old_key(ledger, database, key_file, people, operator, monkeypatch):
    """It is no error; a later run wraps it. Within a second it has seen the new file."""
    monkeypatch.setattr("ledger.identities.LOOK_SECONDS_MIN", 3600.0)
    ledger._identities.look_again()
    rotate(database, key_file)
    late = ledger.record(collect(citizen=citizen(90))).dossier_id
    assert {1: 1, 2: PEOPLE} == used(database, operator)
    done = rotate(database, key_file)
    assert (2, False, 1) == (done.wrapping_key, done.added, done.rewrapped)
    assert citizen(90) == ledger.reveal(late)

    monkeypatch.setattr("ledger.identities.LOOK_SECONDS_MIN", 0.0)
    ledger._identities.look_again()
    rotate(database, key_file)
    ledger.record(collect(citizen=citizen(91)))
    assert {3: PEOPLE + 2} == used(database, operator)


def test_retired(ledger, database, key_file, people, as_now):
    """The file loses it, and nothing else; who still has it in memory goes on."""
    rotate(database, key_file)
    assert 2 == retire(database, key_file, 1)
    assert ["lookup", "wrap-2"] == names(key_file)
    check_all_open(as_now(), people)
    check_all_open(ledger, people)
    # A number is never given twice.
    assert 3 == rotate(database, key_file).wrapping_key
    assert ["lookup", "wrap-2", "wrap-3"] == names(key_file)


def test_a_key_that_is_needed_is_not_retired(ledger, database, key_file, people, operator, as_now):
    """Not even for one citizen; nothing was changed, and who seals with it may go on."""
    rotate(database, key_file, add_only=True)
    text = key_file.read_text()
    with pytest.raises(KeyNeededError, match="50 citizens need wrapping key 1"):
        retire(database, key_file, 1)
    operator.execute("SELECT set_config('activation_ledger.change', 'erase', false)")
    operator.execute("DELETE FROM citizens WHERE dossier_id <> %s", [people[7]])
    with pytest.raises(KeyNeededError, match="1 citizens need wrapping key 1"):
        retire(database, key_file, 1)
    assert text == key_file.read_text()
    ledger.record(collect(citizen=citizen(90)))
    assert {1: 2} == used(database, operator)


@pytest.mark.parametrize("number", [1, 2, 7])
def test_the_newest_and_unknown_keys_are_not_retired(database, key_file, people, number):
    """Somebody has to seal."""
    if number == 2:
        rotate(database, key_file)
    with pytest.raises(FieldInvalidError):
        retire(database, key_file, number)


def test_nothing_is_sealed_with_a_retired_key(ledger, database, key_file, people, operator, monkeypatch):
    """A process that still does is refused by the database, reads the key file, and seals again: no row is lost."""
    monkeypatch.setattr("ledger.identities.LOOK_SECONDS_MIN", 3600.0)
    ledger._identities.look_again()
    rotate(database, key_file)
    retire(database, key_file, 1)
    assert 1 == ledger._identities.newest
    [receipt, known] = ledger.record_many(
        [collect(citizen=citizen(90), note="n"), collect(citizen=citizen(3), key="c2")]
    )
    assert 2 == ledger._identities.newest
    assert {2: PEOPLE + 1} == used(database, operator)
    assert "already_collected" == known.code
    assert ["n"] == [event.note for event in ledger.history(dossier_id=receipt.dossier_id).events]


def test_a_copy_of_the_key_file_that_was_left_behind(database, key_file, people, tmp_path, operator):
    """On another machine, say: with it nothing is rotated, retired, or sealed once its key is retired."""
    old = tmp_path / "old.key"
    old.write_bytes(key_file.read_bytes())
    old.chmod(0o600)
    rotate(database, key_file)
    for change in (rotate, lambda *place: retire(*place, 1)):
        with pytest.raises(KeyFileInvalidError, match="lacks wrapping key 2"):
            change(database, old)
    assert ["lookup", "wrap-1"] == names(old)
    with Ledger(database, read_key_file(old), now=Clock()) as elsewhere:
        with pytest.raises(KeyFileInvalidError, match="no wrapping key 2"):
            elsewhere.reveal(people[0])
        elsewhere.record(collect(citizen=citizen(90)))
        assert 1 == rotate(database, key_file).rewrapped
        retire(database, key_file, 1)
        with pytest.raises(
            KeyFileInvalidError, match="wrapping key 1, the newest of this key file, was retired"
        ):
            elsewhere.record(collect(citizen=citizen(91)))
        # The file is brought there, and it goes on.
        old.write_bytes(key_file.read_bytes())
        elsewhere.record(collect(citizen=citizen(91)))
        assert citizen(0) == elsewhere.reveal(people[0])
    assert {2: PEOPLE + 2} == used(database, operator)


def test_the_key_file_of_another_ledger(ledger, database, key_file, people, tmp_path):
    """It is refused, and not changed."""
    ledger.check_key(key_file)
    other = tmp_path / "other.key"
    create_key_file(other)
    for change in (rotate, lambda *place: retire(*place, 1)):
        with pytest.raises(KeyFileWrongError):
            change(database, other)
    assert ["lookup", "wrap-1"] == names(other)
    with pytest.raises(KeyFileMissingError):
        rotate(database, tmp_path / "none.key")


def test_one_rotation_at_a_time(database, key_file, people):
    """The other is refused; the lock goes with the session that holds it."""

    def another(_done: int, _all: int) -> None:
        for change in (rotate, lambda *place: retire(*place, 1)):
            with pytest.raises(ContentionError, match="at work"):
                change(database, key_file)

    assert PEOPLE == rotate(database, key_file, on_progress=another).rewrapped
    retire(database, key_file, 1)


def test_a_row_that_does_not_open_stops_the_rotation(database, key_file, people, operator):
    """It is named by its dossier; no key is lost, and what was wrapped is wrapped."""
    rotate(database, key_file, add_only=True)
    operator.execute("SELECT set_config('activation_ledger.change', 'rewrap', false)")
    operator.execute(
        "UPDATE citizens SET key = '\\x01ff' || substr(key, 3) WHERE dossier_id = %s", [people[7]]
    )
    with pytest.raises(KeyFileInvalidError, match=str(people[7])):
        rotate(database, key_file)
    assert ["lookup", "wrap-1", "wrap-2"] == names(key_file)


def test_rewrap_compares_and_sets(database, people, operator):
    """A key that was changed or erased meanwhile is left alone, and none goes back to an older wrapping key."""
    [[dossier_id, key]] = operator.execute("SELECT dossier_id, key FROM citizens LIMIT 1").fetchall()
    other, newer, newest = b"\x01" + key[1:-1] + b"?", b"\x02" + key[1:], b"\x03" + key[1:]

    def rewrap(ids: list, old: list, new: list) -> int:
        call = "SELECT ledger.rewrap(%s::uuid[], %s::bytea[], %s::bytea[])"
        return operator.execute(call, [ids, old, new]).fetchone()[0]

    assert 0 == rewrap([dossier_id], [other], [newer])
    assert 0 == rewrap([dossier_id], [key], [other])
    assert 1 == rewrap([dossier_id], [key], [newest])
    assert 0 == rewrap([dossier_id], [key], [newest])
    assert 0 == rewrap([dossier_id], [newest], [newer])
    assert 0 == rewrap([], [], [])
    with pytest.raises(psycopg.Error) as caught:
        rewrap([dossier_id], [newest], [])
    assert "AL004" == caught.value.sqlstate
    assert {1: PEOPLE - 1, 3: 1} == used(database, operator)
    # What let it pass does not outlive it, nor a transaction in which it was called.
    with operator.transaction():
        rewrap([], [], [])
        with pytest.raises(psycopg.Error, match="append-only"), operator.transaction():
            operator.execute("UPDATE citizens SET key = key")
    with pytest.raises(psycopg.Error, match="append-only"):
        operator.execute("DELETE FROM citizens")


# The file.


def test_the_file_stays_its_owners_alone(key_file):
    """Whatever the umask; what a killed rotation has left beside it goes; the file may be known by a link."""
    left = key_file.with_name("ledger.key.abc.rotated")
    left.write_text("half")
    link = key_file.with_name("link.key")
    link.symlink_to(key_file)
    before = os.umask(0)
    try:
        assert 2 == add_wrapping_key(link)
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(key_file.stat().st_mode)
    assert link.is_symlink()
    assert {key_file, link} == set(key_file.parent.iterdir())
    if os.getuid() == 0:
        os.chown(key_file, 65534, 65534)
        add_wrapping_key(key_file)
        assert (65534, 65534) == (key_file.stat().st_uid, key_file.stat().st_gid)


def test_no_number_beyond_a_byte(database, key_file, people):
    """The 255th is the last, and says so before anything is written."""
    text = key_file.read_text()
    key_file.write_text(text.replace("wrap-1", "wrap-254"))
    assert 255 == add_wrapping_key(key_file)
    key_file.write_text(text + names_line(text, 255))
    with psycopg.connect(database.as_operator(), autocommit=True) as operator:
        operator.execute("SELECT set_config('activation_ledger.change', 'erase', false)")
        operator.execute("DELETE FROM citizens")
    with pytest.raises(KeyFileInvalidError, match="255"):
        rotate(database, key_file)


def names_line(text: str, number: int) -> str:
    return text.splitlines()[2].replace("wrap-1", f"wrap-{number}") + "\n"


@pytest.mark.parametrize(
    "step", ["tempfile.mkstemp", "os.fsync", "pathlib.Path.replace", "ledger.key_files._sync_directory"]
)
@pytest.mark.parametrize(
    "change", [add_wrapping_key, lambda path: remove_wrapping_key(path, 1)], ids=["add", "remove"]
)
def test_killed_while_it_writes_the_file(key_file, monkeypatch, step, change):
    """There is a whole file, with every key but what was taken out; the next run goes on."""
    add_wrapping_key(key_file)
    sealed = read_key_file(key_file).seal(CITIZEN, ID)
    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr(step, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        change(key_file)
        os._exit(1)
    assert signal.SIGKILL == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) * -1
    found = read_key_file(key_file)
    assert found.numbers >= {2}
    assert CITIZEN == found.reveal(sealed, ID)
    newest = found.newest
    assert newest + 1 == add_wrapping_key(key_file)
    assert [key_file] == list(key_file.parent.iterdir())


def test_a_file_that_cannot_be_read_for_a_moment(key_file):
    """While somebody edits it by hand, say: what is known stays known."""
    identities = read_key_file(key_file)
    sealed = identities.seal(CITIZEN, ID)
    whole = key_file.read_bytes()
    for spoilt in (b"", whole[:40], whole.replace(b"lookup", b"lockup")):
        key_file.write_bytes(spoilt)
        identities.look_again()
        assert CITIZEN == identities.reveal(sealed, ID)
    # Nor does the file of another ledger change anything.
    key_file.unlink()
    identities.look_again()
    create_key_file(key_file)
    add_wrapping_key(key_file)
    identities.look_again()
    assert {1} == identities.numbers
    key_file.write_bytes(whole)
    add_wrapping_key(key_file)
    identities.look_again()
    assert {1, 2} == identities.numbers


# All at once.


class Children:
    """Processes of ``wrapping_child.py``."""

    def __init__(self, database: Database, key_file: Path) -> None:
        self._place = (str(key_file), database.conninfo, database.schema, str(database.embedded))
        self.running: list[subprocess.Popen] = []

    def start(self, what: str, number: int = 0) -> subprocess.Popen:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.ledger.wrapping_child", what, *self._place, str(number)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(child)
        return child


@pytest.fixture
def children(database: Database, key_file: Path) -> Iterator[Children]:
    children = Children(database, key_file)
    yield children
    for child in children.running:
        with child:
            child.kill()


def test_rotated_and_killed_while_others_report_and_read(
    ledger, database, key_file, people, operator, children, as_now
):
    """Whenever it is killed, readers and reporters go on; in the end every number opens with the newest key alone."""
    chance = Random(7)
    working = [children.start("report", number) for number in (1, 2)] + [children.start("read", 3)]
    rotating = children.start("rotate")
    for child in (*working, rotating):
        assert "ready\n" == child.stdout.readline()
    killed = 0
    for _ in range(KILLS):
        following = children.start("rotate")
        # The next is waiting to be let in already; this one has begun.
        time.sleep(chance.random() * 0.15)
        rotating.kill()
        killed += rotating.wait() == -signal.SIGKILL
        assert "ready\n" == following.stdout.readline()
        rotating = following
    rotating.wait()
    reported = []
    for child in working:
        child.stdin.close()
    for child in working:
        reported.append(int(child.stdout.readline()))
        assert 0 == child.wait()
    assert min(reported) > 0
    while rotate(database, key_file).added is False:
        pass
    newest = read_key_file(key_file).newest
    citizens = PEOPLE + sum(reported[:2])
    assert {newest: citizens} == used(database, operator)
    for number in range(1, newest):
        retire(database, key_file, number)
    assert ["lookup", f"wrap-{newest}"] == names(key_file)
    assert killed > 0
    check_all_open(as_now(), people)
