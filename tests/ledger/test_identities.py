"""The secret that finds and seals citizens."""

import hmac
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from ledger.errors import KeyFileInvalidError, KeyFileMissingError
from ledger.identities import Identities, Sealed, read_key_file
from ledger.key_files import create_key_file
from tests.ledger.reports import CITIZEN, citizen

DOSSIER, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture
def others(tmp_path) -> Identities:
    """The secrets of another ledger."""
    create_key_file(tmp_path / "other.key")
    return read_key_file(tmp_path / "other.key")


def test_key_file_is_for_its_owner_alone(tmp_path):
    """Whatever the umask; and nothing else is left in its directory."""
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "deep" / "down" / "ledger.key")
    finally:
        os.umask(before)
    path = tmp_path / "deep" / "down" / "ledger.key"
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert [path] == list(path.parent.iterdir())
    assert "Back it up with the database" in path.read_text(encoding="ascii")


def test_key_file_is_never_overwritten(key_file):
    """Overwriting it would lose every citizen."""
    before = key_file.read_bytes()
    create_key_file(key_file)
    assert before == key_file.read_bytes()
    key_file.write_text("precious")
    create_key_file(key_file)
    assert "precious" == key_file.read_text()
    assert [key_file] == list(key_file.parent.iterdir())


CREATE = """
import sys
from pathlib import Path
from ledger.identities import read_key_file
from ledger.key_files import create_key_file
print("ready", flush=True)
sys.stdin.readline()
create_key_file(Path(sys.argv[1]))
print(read_key_file(Path(sys.argv[1])).check().hex())
"""


def test_processes_that_create_it_at_once_agree(tmp_path):
    """The first to be whole wins; the others use it."""
    path = tmp_path / "ledger.key"
    command = [sys.executable, "-B", "-c", CREATE, str(path)]
    root = Path(__file__).parents[2]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
        for _ in range(4)
    ]
    assert ["ready\n"] * 4 == [child.stdout.readline() for child in children]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=60)[0].strip() for child in children]

    assert [0] * 4 == [child.returncode for child in children]
    assert {read_key_file(path).check().hex()} == set(said)
    assert [path] == list(tmp_path.iterdir())


def test_threads_that_create_it_at_once_agree(tmp_path):
    """They share a pid, as processes of two containers may: no draft may be another's."""

    def create(path: Path) -> bytes:
        create_key_file(path)
        return read_key_file(path).check()

    with ThreadPoolExecutor(8) as pool:
        for n in range(25):
            path = tmp_path / f"{n}.key"
            checks = set(pool.map(create, [path] * 8))
            assert {read_key_file(path).check()} == checks
    assert 25 == len(list(tmp_path.iterdir()))


def test_key_file_is_missing(tmp_path):
    """The sentence says how to name it, and never makes one."""
    with pytest.raises(KeyFileMissingError, match="LEDGER_KEY_FILE"):
        read_key_file(tmp_path / "ledger.key")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_key_file_that_others_can_read_is_refused(key_file, mode):
    """The sentence says what to run."""
    key_file.chmod(mode)
    with pytest.raises(KeyFileInvalidError, match="chmod 600"):
        read_key_file(key_file)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "not a key file\n",
        lambda text: text[:-10],
        lambda text: text.replace("wrap-1", "wrap-0"),
        lambda text: text.replace("wrap-1", "wrap-256"),
        lambda text: text + text.splitlines()[2],
        lambda text: text.replace("wrap-1", "wrapper"),
        lambda text: text.replace("lookup: ", "lookup: !"),
        lambda text: "\n".join(text.splitlines()[:-1]),
        lambda text: text + "é",
        lambda text: "\x00" * 100,
    ],
    ids=range(11),
)
def test_damaged_key_file_is_refused(key_file, damage):
    """It is no key file, and the sentence does not show what is in it."""
    text = key_file.read_text()
    key_file.write_text(damage(text), encoding="utf-8")
    with pytest.raises(KeyFileInvalidError) as caught:
        read_key_file(key_file)
    secret = text.splitlines()[1].split(": ")[1]
    assert secret not in str(caught.value)


def test_a_directory_is_no_key_file(tmp_path):
    """It is refused as a file that cannot be read."""
    with pytest.raises(KeyFileInvalidError):
        read_key_file(tmp_path)


def test_secrets_do_not_print(identities):
    """Into a traceback, for example."""
    assert "Identities(...)" == repr(identities)


def test_citizens_are_found_by_secret(identities, key_file, others):
    """The same number, the same lookup, for as long as the key file is the same."""
    assert identities.lookup(CITIZEN) == read_key_file(key_file).lookup(CITIZEN)
    assert 32 == len(identities.lookup(CITIZEN))
    assert identities.lookup(CITIZEN) != others.lookup(CITIZEN)
    assert 1000 == len({identities.lookup(citizen(n)) for n in range(1000)})
    assert identities.check() != others.check()
    assert identities.check() not in {identities.lookup("check"), identities.lookup(CITIZEN)}


def test_lookup_is_one_for_ever():
    """HMAC-SHA-256 of kind and number (RFC 2104), however it is computed: another value forks every citizen."""
    for secret in (bytes(range(32)), b"\x00" * 32, b"\xff" * 32):
        expected = hmac.digest(secret, b"vn-citizen\x00" + CITIZEN.encode(), "sha256")
        assert expected == Identities(lookup=secret, wrap=bytes(32)).lookup(CITIZEN)
    secrets = Identities(lookup=bytes(range(32)), wrap=bytes(32))
    assert "aed049b7b98510b8bae1c7d47e1aaa4b0d782077c5b64eb0d48c09d1ec9a122d" == secrets.lookup(CITIZEN).hex()
    assert "4dbc0b662b9043db529d495b843ece6a8e8600a3ca3b7a0b1a8d7405247cf311" == secrets.check().hex()


def test_key_file_is_one_for_ever(tmp_path):
    """A file of version 1 opens what it sealed."""
    path = tmp_path / "ledger.key"
    path.touch(0o600)
    path.write_text(
        "# activation-ledger key file 1. Back it up.\n"
        "lookup: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
        "wrap-1: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    )
    sealed = Sealed(
        bytes.fromhex("48f994ec5709e96bba7d10d0c3f63b9b57b5e3d748d932d752260dabf5dd478ab11a248080914219"),
        bytes.fromhex(
            "0119810cf68bf546410a9008825bf7f7230e51726020547aae07b1f6b5a06cac060515933b03e2a59f113ecc7df413e103ddcf17608c8ce672d6ea601f"
        ),
    )
    assert CITIZEN == read_key_file(path).reveal(sealed, DOSSIER)


def test_sealed_number_opens(identities):
    """With the same key file; sealed twice it looks different."""
    sealed = identities.seal(CITIZEN, DOSSIER)
    assert CITIZEN == identities.reveal(sealed, DOSSIER)
    assert CITIZEN.encode() not in sealed.number + sealed.key
    again = identities.seal(CITIZEN, DOSSIER)
    assert sealed.number != again.number
    assert sealed.key != again.key


def test_sealed_note_opens(identities):
    """With the citizen's own key."""
    key = identities.seal(CITIZEN, DOSSIER).key
    note = identities.seal_note("Máy đọc chip hỏng", key, DOSSIER)
    assert "Máy đọc chip hỏng" == identities.open_note(note, key, DOSSIER)
    assert "Máy".encode() not in note
    with pytest.raises(KeyFileInvalidError):
        identities.open_note(note, identities.seal(citizen(2), DOSSIER).key, DOSSIER)


def test_sealed_rows_are_bound_to_their_dossier(identities):
    """Moved to another row, number, key and note do not open, and the refusal names the dossier only."""
    sealed = identities.seal(CITIZEN, DOSSIER)
    note = identities.seal_note("n", sealed.key, DOSSIER)
    with pytest.raises(KeyFileInvalidError, match=str(OTHER)):
        identities.reveal(sealed, OTHER)
    with pytest.raises(KeyFileInvalidError):
        identities.open_note(note, sealed.key, OTHER)
    mixed = Sealed(identities.seal(citizen(2), OTHER).number, sealed.key)
    with pytest.raises(KeyFileInvalidError):
        identities.reveal(mixed, DOSSIER)
    # One purpose does not stand in for another.
    with pytest.raises(KeyFileInvalidError):
        identities.open_note(sealed.number, sealed.key, DOSSIER)


@pytest.mark.parametrize("place", [1, 13, -1])
def test_changed_rows_do_not_open(identities, place):
    """One flipped bit in nonce, ciphertext or tag."""
    sealed = identities.seal(CITIZEN, DOSSIER)

    def flipped(text: bytes) -> bytes:
        changed = bytearray(text)
        changed[place] ^= 1
        return bytes(changed)

    with pytest.raises(KeyFileInvalidError):
        identities.reveal(Sealed(flipped(sealed.number), sealed.key), DOSSIER)
    with pytest.raises(KeyFileInvalidError):
        identities.reveal(Sealed(sealed.number, flipped(sealed.key)), DOSSIER)


def test_another_key_file_opens_nothing(identities, others):
    """And says so, rather than showing nonsense."""
    with pytest.raises(KeyFileInvalidError, match="does not open"):
        others.reveal(identities.seal(CITIZEN, DOSSIER), DOSSIER)


def test_unknown_wrapping_key_is_named(identities):
    """A row sealed by a newer key file says which wrapping key it needs."""
    sealed = identities.seal(CITIZEN, DOSSIER)
    with pytest.raises(KeyFileInvalidError, match="no wrapping key 2"):
        identities.reveal(Sealed(sealed.number, b"\x02" + sealed.key[1:]), DOSSIER)
