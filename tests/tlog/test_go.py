"""The original authors' code in Go beside ours: golang.org/x/mod/sumdb/tlog and note, as Debian packages them."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.tlog.checkpoints import Checkpoint
from ledger.tlog.errors import SignatureFalseError
from ledger.tlog.keys import Kind, SigningKey, VerifierKey
from ledger.tlog.notes import Note, open_note, sign
from ledger.tlog.tiles import grow, tiles_made
from ledger.tlog.tree import consistency_proof, inclusion_proof, leaf_hash, nodes_of, root
from tests.clients import seeded

SIZE = 1500
SOURCE = Path(__file__).with_name("go") / "main.go"
GO_PATH = Path("/usr/share/gocode")
NEEDED = os.environ.get("LEDGER_TEST_GO") == "1"
"""Set by .ci/run, which installs Go: there, its absence fails."""
KEY = SigningKey("example.com/log", Kind.NOTE, bytes(range(32)))
TEXT = Checkpoint("example.com/log", 5, bytes(32)).text


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The Go program, built once."""
    go = shutil.which("go")
    if go is None or not (GO_PATH / "src/golang.org/x/mod/sumdb").is_dir():
        assert not NEEDED, "Go is not installed: apt-get install golang-go golang-golang-x-mod-dev"
        pytest.skip(
            "NOT TESTED against the original authors' code: no Go (golang-go, golang-golang-x-mod-dev)"
        )
    folder = tmp_path_factory.mktemp("go")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GOCACHE": str(folder / "cache"),
        "GO111MODULE": "off",
        "GOPATH": str(GO_PATH),
        "CGO_ENABLED": "0",
    }
    subprocess.run([go, "build", "-o", folder / "asked", SOURCE], env=environment, check=True, timeout=240)

    def run(*arguments, stdin):
        return subprocess.run([folder / "asked", *arguments], input=stdin, capture_output=True, timeout=120)

    return run


def test_roots_and_proofs_are_those_of_go(program):
    """3,000 roots, 5,000 inclusion and 5,000 consistency proofs, drawn at random, are byte for byte the same."""
    chance = seeded("go")
    leaves = b"".join(leaf_hash(str(index).encode()) for index in range(SIZE))
    nodes = nodes_of(leaves)
    questions, expected = [], []
    for _ in range(3000):
        size = chance.randrange(SIZE + 1)
        questions.append(f"root {size}")
        # Go calls the root of nothing 32 zeroes in its early versions; RFC 6962, section 2.1, is who says.
        expected.append(root(size, nodes).hex() if size else None)
    for _ in range(5000):
        size = chance.randint(1, SIZE)
        index = chance.randrange(size)
        questions.append(f"record {size} {index}")
        expected.append(b"".join(inclusion_proof(index, size, nodes)).hex())
        old = chance.randint(1, size)
        questions.append(f"tree {size} {old}")
        expected.append(b"".join(consistency_proof(old, size, nodes)).hex())
    done = program("tlog", str(SIZE), stdin="\n".join(questions).encode())
    answers = done.stdout.decode().splitlines()

    assert (b"", len(questions)) == (done.stderr, len(answers))
    differing = [
        (question, ours, theirs)
        for question, ours, theirs in zip(questions, expected, answers, strict=True)
        if ours is not None and ours != theirs
    ]
    assert [] == differing


def test_tiles_are_those_of_go(program):
    """300 growths, drawn at random, make the same tiles with the same hashes.

    Debian's version tells partial tiles of every width on the way, and of levels that do not grow: the widest of each
    place counts, if the old tree has it not. Paths differ by the height that Go puts in them.
    """
    chance = seeded("go tiles")
    leaves = b"".join(leaf_hash(str(index).encode()) for index in range(SIZE))
    questions, growths = [], []
    for _ in range(300):
        old = chance.randrange(SIZE)
        new = chance.randint(old + 1, SIZE)
        kept = dict(grow(0, leaves[: 32 * old], {}.__getitem__))
        made = dict(grow(old, leaves[32 * old : 32 * new], kept.__getitem__))
        assert list(tiles_made(old, new)) == list(made)
        questions.append(f"tiles {old} {new}")
        growths.append((kept, {path(tile): sha256(hashes).hexdigest() for tile, hashes in made.items()}))
    done = program("tlog", str(SIZE), stdin="\n".join(questions).encode())

    for (kept, ours), line in zip(growths, done.stdout.decode().splitlines(), strict=True):
        words = line.split()
        theirs = dict(zip(words[::2], words[1::2], strict=True))
        widest = {told.partition(".p/")[0]: told for told in theirs}  # Widths rise.
        assert ours == {told: theirs[told] for told in widest.values() if told not in map(path, kept)}


def path(tile):
    return tile.path.replace("tile/", "tile/8/")


def test_go_opens_our_notes(program):
    """A checkpoint that we signed is one that note.Open takes, also beside signatures that it does not know."""
    cosigner = SigningKey("witness.example/w1", Kind.COSIGNATURE, bytes(32))
    note = sign(TEXT, [KEY])
    both = Note(TEXT, note.signatures + sign(TEXT, [cosigner], at=1).signatures)

    for signed in (note, both):
        done = program("open", KEY.verifier.text, stdin=bytes(signed))
        assert (TEXT.encode(), b"") == (done.stdout, done.stderr)


def test_go_refuses_what_was_changed(program):
    done = program("open", KEY.verifier.text, stdin=bytes(sign(TEXT, [KEY])).replace(b"\n5\n", b"\n6\n"))

    assert 1 == done.returncode
    assert b"invalid signature" in done.stderr


def test_we_open_notes_of_go(program):
    """A note that Go signed with our secret key's text is one that we open, and the very bytes that we make."""
    data = program("sign", KEY.text, stdin=TEXT.encode()).stdout

    assert sign(TEXT, [KEY]) == open_note(data, [KEY.verifier])[0]
    assert bytes(sign(TEXT, [KEY])) == data
    with pytest.raises(SignatureFalseError):
        open_note(data.replace(b"\n5\n", b"\n6\n"), [VerifierKey.from_text(KEY.verifier.text)])
