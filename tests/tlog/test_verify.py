"""verify.py: what is true is found true, every lie is named, and it agrees with the code that it does not import."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta, timezone
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog import verify as module
from ledger.tlog.bundles import Bundle, count_text, dossier_bundle
from ledger.tlog.checkpoints import Checkpoint
from ledger.tlog.errors import BundleError, ProofError, TlogError
from ledger.tlog.keys import Kind, SigningKey
from ledger.tlog.notes import sign
from ledger.tlog.policies import read_policy
from ledger.tlog.tree import leaf_hash, root
from ledger.tlog.verify import FAULTS, PolicyMalformedError, verify
from tests.tlog.logs import (
    COUNT_KEY,
    DOSSIER,
    LOG_KEY,
    ORIGIN,
    OTHER,
    POLICY,
    WITNESSES,
    MadeUpLog,
    count_key,
)

LOG = MadeUpLog(20)
BUNDLE = bytes(LOG.bundle())
PROOF = bytes(LOG.proof(version=2))
FILE = Path(module.__file__)
STRANGER = SigningKey("stranger.example", Kind.NOTE, bytes([77] * 32))


def faults(data, policy=POLICY):
    return [(fault["fault"], fault["version"]) for fault in verify(data, policy).faults]


def changed(change):
    """Return the bundle with something changed by a function of its document."""
    document = json.loads(BUNDLE)
    change(document)
    return json.dumps(document).encode()


def signed_count(number, *, dossier=DOSSIER, key=COUNT_KEY, head=None):
    head = head or Checkpoint.from_text(LOG.checkpoint().text)
    return str(sign(count_text(head, dossier, number), [key]))


def test_a_bundle_is_verified():
    """It says of which log and tree, who co-signed when, how many events there are, and which."""
    report = verify(BUNDLE, POLICY)

    assert ([], True, str(DOSSIER), ORIGIN, 20, 6) == (
        report.faults,
        report.is_true,
        report.dossier_id,
        report.origin,
        report.size,
        report.count,
    )
    assert {"w1": "2024-11-24 21:00:00 UTC", "w2": "2024-11-24 21:00:01 UTC"} == report.witnesses
    assert [3, 6, 9, 12, 15, 18] == [event["position"] for event in report.events]
    assert {
        "version": 1,
        "position": 3,
        "recorded_at": "2024-12-09T16:00:03.123456Z",
        "type": "dossier.collected.v1",
        "level": 2,
        "occurred_at": "2024-12-09T08:00:00+07:00",
        "unit": "14758",
        "actor": "A12",
    } == report.events[0]


def test_one_events_proof_is_verified():
    report = verify(PROOF, POLICY)

    assert ([], 6, None) == (report.faults, report.events[0]["position"], report.count)
    assert "what else the dossier has is not in this file" in report.sentence


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 9, 64, 65])
def test_bundles_of_every_shape_of_tree(size):
    assert [] == faults(bytes(MadeUpLog(size).bundle()))


def drop(*names):
    def change(document):
        for name in names:
            del document[name]

    return change


def put(name, value, event=None):
    def change(document):
        (document if event is None else document["events"][event])[name] = value

    return change


OTHER_HASH = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
STATE = json.loads(BUNDLE)["events"][1]["state"]


def swap(document):
    document["events"][1], document["events"][2] = document["events"][2], document["events"][1]


def leave_out(number):
    def change(document):
        del document["events"][number]

    return change


def twice(document):
    document["events"].insert(2, document["events"][1])


def log_signs(text):
    return str(sign(text, [LOG_KEY]))


def cosigned_count(document):
    """A witness's kind of key states the number: what it signs is another message."""
    document["count_key"] = str(count_key(WITNESSES[0]))
    text = count_text(Checkpoint.from_text(LOG.checkpoint().text), DOSSIER, 6)
    document["count"] = str(sign(text, [WITNESSES[0]], at=1))


def other_proof(document):
    document["events"][1]["proof"] = document["events"][2]["proof"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # What was recorded.
        (put("state", STATE.replace("14758", "14761"), 1), [("event_changed", 2)]),
        (put("state", STATE + " ", 1), [("event_changed", 2)]),
        (put("topic", "dossier.approved.v1", 1), [("event_changed", 2)]),
        (put("recorded_at", "2024-12-09T16:00:06.123457Z", 1), [("event_changed", 2)]),
        (put("position", 7, 1), [("event_changed", 2)]),
        (put("version", 9, 5), [("event_changed", 9), ("event_missing", 9)]),
        (put("leaf", OTHER_HASH, 1), [("event_changed", 2)]),
        (put("proof", [OTHER_HASH], 1), [("proof_false", 2)]),
        (put("proof", [], 1), [("proof_false", 2)]),
        (other_proof, [("proof_false", 2)]),
        (
            put("dossier_id", str(OTHER)),
            [*(("event_changed", n) for n in range(1, 7)), ("count_of_another", None)],
        ),
        # What was left out.
        (leave_out(5), [("tail_withheld", None)]),
        (leave_out(2), [("event_missing", 4), ("tail_withheld", None)]),
        (leave_out(0), [("event_missing", 2), ("tail_withheld", None)]),
        (swap, [("event_missing", 3)]),
        (twice, [("event_missing", 2), ("events_too_many", None)]),
        (put("events", []), [("tail_withheld", None)]),
        # What was stated.
        (put("count", signed_count(5)), [("events_too_many", None)]),
        (put("count", signed_count(7)), [("tail_withheld", None)]),
        (put("count", signed_count(6, dossier=OTHER)), [("count_of_another", None)]),
        (put("count", signed_count(6, head=Checkpoint(ORIGIN, 21, bytes(32)))), [("count_of_another", None)]),
        (put("count", signed_count(6, key=STRANGER)), [("count_not_signed", None)]),
        (put("count", signed_count(6, key=LOG_KEY)), [("count_not_signed", None)]),
        (put("count", signed_count(6).replace("\n6\n", "\n5\n")), [("signature_false", None)]),
        (put("count", "6"), [("count_not_signed", None)]),
        (put("count", signed_count(6).partition("\n\n")[2]), [("count_not_signed", None)]),
        (put("count", signed_count(6)[:-1] + "x"), [("count_not_signed", None)]),
        (put("count", str(sign("a\n", [COUNT_KEY]))), [("count_of_another", None)]),
        (put("count_key", str(count_key(by=STRANGER))), [("count_not_signed", None)]),
        (put("count_key", str(count_key(STRANGER))), [("count_not_signed", None)]),
        (put("count_key", str(count_key(origin="elsewhere.example/log"))), [("count_of_another", None)]),
        (put("count_key", str(sign("a\nb\nc\n", [LOG_KEY]))), [("count_not_signed", None)]),
        (put("count_key", str(LOG.checkpoint())), [("count_not_signed", None)]),
        (
            put("count_key", log_signs(f"other/v1\n{ORIGIN}\n{COUNT_KEY.verifier.text}\n")),
            [("count_not_signed", None)],
        ),
        (put("count_key", log_signs(f"{count_key().text}more\n")), [("count_not_signed", None)]),
        (cosigned_count, [("count_not_signed", None)]),
        # What was signed.
        (put("checkpoint", str(LOG.checkpoint(witnesses=1))), [("quorum_missing", None)]),
        (
            put("checkpoint", str(sign(LOG.checkpoint().text, [STRANGER]))),
            [("checkpoint_not_signed", None)],
        ),
        (
            put("checkpoint", str(MadeUpLog(21).checkpoint())),
            [*(("proof_false", n) for n in range(1, 7)), ("count_of_another", None)],
        ),
        (
            put("checkpoint", str(MadeUpLog(17).checkpoint())),
            [
                *(("proof_false", n) for n in range(1, 6)),
                ("position_outside", 6),
                ("count_of_another", None),
            ],
        ),
        (
            put("checkpoint", str(LOG.checkpoint()).replace("\n20\n", "\n21\n")),
            # Up to the 16th, a path says the same of 20 leaves as of 21: which it is, the signature says.
            [("signature_false", None), ("proof_false", 6), ("count_of_another", None)],
        ),
        (put("checkpoint", "nothing"), [("checkpoint_malformed", None)]),
        (put("checkpoint", log_signs(f"{LOG.checkpoint().text}\nx\n")), [("checkpoint_malformed", None)]),
        (put("checkpoint", log_signs(f"{ORIGIN}\n0\n{OTHER_HASH}\n")), [("checkpoint_malformed", None)]),
        (
            put("checkpoint", log_signs(f"{ORIGIN}\n{2**63}\n{OTHER_HASH}\n")),
            [("checkpoint_malformed", None)],
        ),
        (put("checkpoint", str(sign("a\n", [LOG_KEY]))), [("checkpoint_malformed", None)]),
        (put("checkpoint", "\ud800" + str(LOG.checkpoint())), [("checkpoint_malformed", None)]),
        # What the file is.
        (put("format", "activation-ledger/bundle/v2"), [("file_unknown", None)]),
        (drop("format"), [("file_unknown", None)]),
        (drop("count"), [("field_wrong", None)]),
        (drop("count", "count_key"), [("field_wrong", None)]),
        (put("more", 1), [("field_wrong", None)]),
        (put("more", 1, 1), [("field_wrong", None)]),
        (put("dossier_id", str(DOSSIER).upper()), [("field_wrong", None)]),
        (put("events", {}), [("field_wrong", None)]),
        (put("events", [1]), [("field_wrong", None)]),
        (put("position", True, 1), [("field_wrong", None)]),
        (put("position", 0, 1), [("field_wrong", None)]),
        (put("position", 2**63, 1), [("field_wrong", None)]),
        (put("position", 6.0, 1), [("field_wrong", None)]),
        (put("version", -1, 1), [("field_wrong", None)]),
        (put("recorded_at", "2024-12-09T16:00:06.123456+00:00", 1), [("field_wrong", None)]),
        (put("recorded_at", "2024-02-30T16:00:06Z", 1), [("field_wrong", None)]),
        (put("state", "\ud800", 1), [("field_wrong", None)]),
        (put("topic", None, 1), [("field_wrong", None)]),
        (put("leaf", "AAAA", 1), [("field_wrong", None)]),
        (put("proof", [OTHER_HASH] * 5000, 1), [("proof_false", 2)]),
        (put("leaf", OTHER_HASH.replace("A=", "B="), 1), [("field_wrong", None)]),
        (put("proof", [1], 1), [("field_wrong", None)]),
        (put("proof", [OTHER_HASH.replace("=", "")], 1), [("field_wrong", None)]),
    ],
)
def test_every_lie_is_named(change, expected):
    """By the fault and the event's number in the dossier."""
    assert expected == faults(changed(change))


def test_an_order_that_cannot_be_is_named():
    """The log itself has recorded, proved and counted events whose time falls."""
    log = MadeUpLog(20)
    late = log.events[5][1]
    log.events[5] = (DOSSIER, replace(late, recorded_at=late.recorded_at - timedelta(hours=1)))

    assert [("order_false", 2)] == faults(bytes(log.bundle()))


def test_a_policy_that_does_not_name_the_log():
    assert ("log_unknown", None) in faults(BUNDLE, b"quorum none\n")
    with pytest.raises(PolicyMalformedError):
        verify(BUNDLE, b"")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "file_cut"),
        (b"\xff", "file_cut"),
        (b"[" * 100_000, "file_cut"),
        (b"[]", "file_unknown"),
        (b"{}", "file_unknown"),
        (b"null", "file_unknown"),
        (BUNDLE.replace(b'"count"', b'"count": "", "count"'), "field_wrong"),
        (BUNDLE.replace(b'"position": 3', b'"position": ' + b"9" * 5000), "file_cut"),
        (BUNDLE.decode().encode("utf-16"), "file_cut"),
        (PROOF.replace(b"index 5", b"index 4"), "field_wrong"),
        (PROOF.replace(b"index 5", b"index x"), "field_wrong"),
        (PROOF.replace(b"extra Y", b"extra Z"), "field_wrong"),
        (PROOF.replace(b"extra ", b""), "field_wrong"),
        (PROOF.replace(b"index ", b""), "field_wrong"),
        (PROOF.partition(b"\n")[0] + b"\n\n" + bytes(LOG.checkpoint()), "field_wrong"),
        (PROOF.partition(b"\n\n")[0], "file_cut"),
        (PROOF[:-1], "checkpoint_malformed"),
        (PROOF.rpartition(b"\xe2\x80\x94")[0], "quorum_missing"),
        (PROOF.replace(b"index 5\n", b"index 5\n\xff\n"), "file_cut"),
    ],
)
def test_files_that_are_none(data, fault):
    assert [(fault, None)] == faults(data)
    assert (fault == "quorum_missing") == bool(verify(data, POLICY).remarks)


def test_cut_anywhere_it_is_refused():
    """A cut bundle is no JSON, a cut proof no note, or not enough have signed it."""
    for data in (BUNDLE.rstrip(), PROOF):
        for end in range(0, len(data), 7):
            assert faults(data[:end])


@settings(max_examples=200)
@given(st.sampled_from([BUNDLE, PROOF]), st.data())
def test_a_changed_byte_changes_nothing_or_is_refused(file, data):
    """Whatever becomes of a byte: what is found true afterwards is what was true before."""
    mutable = bytearray(file)
    at = data.draw(st.integers(0, len(file) - 1))
    mutable[at] ^= data.draw(st.integers(1, 255))
    report = verify(bytes(mutable), POLICY)

    if report.is_true:
        before = verify(file, POLICY)
        report.witnesses = before.witnesses  # One more than needed may have lost its name.
        assert before.document() == report.document()


SIGNING = {
    "checkpoint_malformed",
    "log_unknown",
    "checkpoint_not_signed",
    "signature_false",
    "quorum_missing",
}


@settings(max_examples=200)
@given(st.data())
def test_of_a_changed_checkpoint_it_says_what_the_library_says(data):
    """Two implementations, one judgement, whatever becomes of a byte or which lines are left out."""
    note = bytearray(bytes(LOG.checkpoint(witnesses=3)))
    if data.draw(st.booleans()):
        note[data.draw(st.integers(0, len(note) - 1))] ^= data.draw(st.integers(1, 127))
    lines = note.split(b"\n")
    left_out = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=2))
    left = b"\n".join(line for number, line in enumerate(lines) if number not in left_out)
    try:
        found = verify(changed(put("checkpoint", left.decode())), POLICY)
    except UnicodeDecodeError:
        return
    codes = {fault["fault"] for fault in found.faults}
    try:
        accepted = read_policy(POLICY).accept(left)
    except TlogError as error:
        assert {_CODES.get(error.code, error.code)} == codes & SIGNING
    else:
        assert set() == codes & SIGNING
        assert list(accepted.witnesses) == list(found.witnesses)


_CODES = {"note_malformed": "checkpoint_malformed", "not_signed": "checkpoint_not_signed"}


def test_both_make_the_same_hashes():
    """Leaf, entry and root of every event, by the one file and by the library."""
    bundle = module.read_bundle(BUNDLE)
    for event, logged in zip(bundle.events, LOG.of(DOSSIER), strict=True):
        assert logged.entry(DOSSIER) == event.entry
        assert leaf_hash(event.entry) == module.leaf_of(event.entry)
        assert root(20, LOG.nodes) == module.root_from(event.leaf, event.position - 1, 20, event.path)


def test_no_number_is_stated_of_events_that_cannot_be_all():
    """A row is missing, holds no text, or came after the checkpoint."""
    for tampered, error in (
        (LOG.of(DOSSIER)[1:], BundleError),
        ([replace(LOG.of(DOSSIER)[0], state=b"\xff")], BundleError),
        ([replace(LOG.of(DOSSIER)[0], position=21)], ProofError),
    ):
        with pytest.raises(error):
            dossier_bundle(
                DOSSIER, tampered, LOG.nodes, LOG.checkpoint(), counting=COUNT_KEY, count_key=count_key()
            )


def test_a_time_of_recording_is_told_in_utc():
    """Whatever zone the session of the database has, it is the same bundle."""
    log = MadeUpLog(20)
    vietnam = timezone(timedelta(hours=7))
    log.events[:] = [
        (stream, replace(event, recorded_at=event.recorded_at.astimezone(vietnam)))
        for stream, event in log.events
    ]

    assert BUNDLE == bytes(log.bundle())


@pytest.mark.parametrize(("size", "hashes"), [(1, 1), (3, 1), (5, 1), (2**63 - 1, 1), (2, 0), (2, 2)])
def test_a_path_of_another_length_leads_nowhere(size, hashes):
    """Whatever root somebody calls that of a tree so large."""
    with pytest.raises(module.RefusedError):
        module.root_from(bytes(32), 0, size, [bytes(32)] * hashes)


def test_the_library_reads_what_it_writes():
    assert LOG.bundle() == Bundle.from_bytes(BUNDLE)
    with pytest.raises(BundleError):
        Bundle.from_bytes(BUNDLE[:-3])


def test_it_imports_nothing_of_ours():
    """The standard library and cryptography alone, and nothing that opens a socket or a database."""
    names = set()
    for node in ast.walk(ast.parse(FILE.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=str(name), level=0):
                names.add(name.split(".")[0])
            case ast.ImportFrom():
                names.add("relative")
            case ast.Import(names=found):
                names.update(alias.name.split(".")[0] for alias in found)

    assert {"cryptography"} == names - sys.stdlib_module_names
    assert set() == names & {"socket", "urllib", "http", "os", "subprocess", "sqlite3", "importlib"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The one file in a folder of its own, run as an auditor would, with nothing of ours to be imported."""
    folder = tmp_path_factory.mktemp("auditor")
    (folder / "verify.py").write_bytes(FILE.read_bytes())
    (folder / "policy").write_bytes(POLICY)

    def run(data, *arguments):
        (folder / "file").write_bytes(data)
        command = [sys.executable, "-I", "-W", "error", "verify.py", "file", "--policy", "policy", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)

    return run


def test_alone_it_tells_an_inspector(alone):
    done = alone(BUNDLE)

    assert (0, "") == (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert (
        f"VERIFIED: dossier {DOSSIER} has 6 events among the first 20 of the log, and they are these"
        == lines[0]
    )
    assert "co-signed by w1 at 2024-11-24 21:00:00 UTC" in lines
    assert "version  position  recorded_at" == lines[5][:30]
    assert 12 == len(lines)


def test_alone_it_says_what_is_wrong(alone):
    done = alone(changed(leave_out(5)))

    assert 1 == done.returncode
    assert "NOT VERIFIED: 1 fault found" == done.stdout.splitlines()[0]
    assert "tail_withheld" in done.stdout
    assert FAULTS["tail_withheld"] in done.stdout


def test_alone_it_tells_programs(alone):
    done = alone(BUNDLE, "--format", "json")

    assert 0 == done.returncode
    assert verify(BUNDLE, POLICY).document() == json.loads(done.stdout)
    assert json.loads(done.stdout)["verified"]


def test_wrong_use_is_not_a_fault(alone):
    """Status 2, and one sentence."""
    assert 2 == alone(BUNDLE, "--policy", "nowhere").returncode
    done = alone(BUNDLE, "--policy", "file")
    assert 2 == done.returncode
    assert "line 1 of the policy" in done.stderr


def test_letters_that_the_output_cannot_take_are_no_fault(tmp_path, monkeypatch):
    """Where a verdict is written into a file on Windows, say."""
    (tmp_path / "file").write_bytes(BUNDLE)
    (tmp_path / "policy").write_bytes(POLICY.replace(b" w1 ", " Sở ".encode()))
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, encoding="ascii", write_through=True))

    assert 0 == module.main([str(tmp_path / "file"), "--policy", str(tmp_path / "policy")])
    assert b"co-signed by S? at 2024-11-24 21:00:00 UTC" in written.getvalue()


def test_nothing_of_the_file_is_obeyed_by_a_terminal(alone):
    escaped = changed(put("checkpoint", str(LOG.checkpoint()).replace(ORIGIN, "\u009b31m\u202e")))
    done = alone(escaped)

    assert 1 == done.returncode
    assert not {"\x1b", "\u009b", "\u202e"} & set(done.stdout)
