"""One event's proof as a file: C2SP tlog-proof, and how large it gets."""

import pytest

from ledger.tlog import base64_text, leaves
from ledger.tlog.bundles import event_proof
from ledger.tlog.errors import NoteError, ProofError, TlogError
from ledger.tlog.policies import read_policy
from ledger.tlog.proofs import TlogProof
from ledger.tlog.tree import check_inclusion, leaf_hash
from tests.tlog.logs import DOSSIER, ORIGIN, POLICY, MadeUpLog, checkpoint, event

LOG = MadeUpLog(20)
PROOF = LOG.proof(version=2)
TEXT = str(PROOF)


def test_a_proof_is_checked_by_what_the_format_says_and_nothing_of_ours():
    """Extra holds the entry; its RFC 6962 hash leads to the root of the checkpoint that the policy accepts."""
    lines = TEXT.split("\n")
    assert "c2sp.org/tlog-proof@v1" == lines[0]
    assert "index 5" == lines[2]
    entry = base64_text.read(lines[1].removeprefix("extra "))
    blank = lines.index("")
    head = read_policy(POLICY).accept("\n".join(lines[blank + 1 :]).encode()).checkpoint

    check_inclusion(
        leaf_hash(entry), 5, head.size, [base64_text.read(line) for line in lines[3:blank]], head.root
    )
    position, stream, version, *_ = leaves.read_entry(entry)
    assert (6, DOSSIER, 2) == (position, stream, version)


def test_what_is_written_is_read():
    assert PROOF == TlogProof.from_bytes(bytes(PROOF))
    plain = TlogProof(0, (), PROOF.checkpoint)
    assert plain == TlogProof.from_bytes(bytes(plain))
    assert str(plain).startswith(f"c2sp.org/tlog-proof@v1\nindex 0\n\n{ORIGIN}\n20\n")


def test_at_ten_million_events_it_has_at_most_1_800_bytes():
    """With the log's signature and two witnesses', for the event that needs most hashes."""
    proof = event_proof(
        DOSSIER, event(1, 1), lambda _level, _index: bytes(32), checkpoint(10_000_000, bytes(32), witnesses=2)
    )

    assert 24 == len(proof.hashes)
    assert len(bytes(proof)) <= 1_800


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:20],
        TEXT.replace("@v1", "@v2"),
        "\n" + TEXT,
        TEXT.replace("index 5", "index 05"),
        TEXT.replace("index 5", "index -5"),
        TEXT.replace("index 5", "index"),
        TEXT.replace("index 5", "5"),
        f"c2sp.org/tlog-proof@v1\n\n{LOG.checkpoint()}",
        TEXT.replace("index 5\n", ""),
        TEXT.replace("index 5", "index 9223372036854775807"),
        TEXT.replace("extra ", "extra  "),
        TEXT.replace("index 5\n", "index 5\nindex 5\n"),
        TEXT.replace("index 5\n", "index 5\n" + "A" * 43 + "=\nAAAA\n"),
        TEXT.replace("index 5\n", "index 5\n" + ("A" * 43 + "=\n") * 63),
        TEXT.replace("index 5\n", "index 5\n\u00e9\n"),
        TEXT.partition("\n\n")[0],
        TEXT.partition("\n\n")[0] + "\n\n",
        TEXT[:-1],
    ],
)
def test_what_is_no_proof_is_refused(text):
    with pytest.raises((ProofError, NoteError)):
        TlogProof.from_bytes(text.encode())


def test_an_entry_that_is_none_is_refused():
    """Cut, longer, of another kind, with a topic that is no text or a time that is none."""
    entry = event(3, 1).entry(DOSSIER)
    for data in (
        entry[:-1],
        entry + b"\0",
        b"",
        leaves.DOMAIN,
        entry[:64],
        entry.replace(b"/v1", b"/v2"),
        entry.replace(b"dossier.", b"dossier\xff"),
        entry[:52] + b"\x7f" * 8 + entry[60:],
    ):
        with pytest.raises(TlogError):
            leaves.read_entry(data)
    assert (3, DOSSIER, 1, event(3, 1).recorded_at) == leaves.read_entry(entry)[:4]
