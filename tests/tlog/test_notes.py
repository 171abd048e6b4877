"""Keys, notes and checkpoints against the published examples, and what is refused of them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog import base64_text, verify
from ledger.tlog.checkpoints import Checkpoint
from ledger.tlog.errors import (
    CheckpointError,
    KeyTextError,
    NoteError,
    SignatureFalseError,
    TlogError,
    UnsignedError,
)
from ledger.tlog.keys import Kind, SigningKey, VerifierKey
from ledger.tlog.notes import NOTE_BYTES_MAX, Note, Signature, open_note, sign, signature, signers
from ledger.tlog.tree import EMPTY_ROOT
from tests.tlog.logs import AT, LOG_KEY, ORIGIN, WITNESSES, checkpoint

# The example of C2SP signed-note v1.0.0, section Verifier keys.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
# The keys of the example in the documentation of golang.org/x/mod/sumdb/note.
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ROOT = bytes(range(32))
TEXT = Checkpoint(ORIGIN, 7, ROOT).text
WITNESS = WITNESSES[0]


def test_the_example_of_the_specification_opens():
    key = VerifierKey.from_text(EXAMPLE_KEY)
    note, signed = open_note(EXAMPLE, [key])

    assert "This is an example message.\n" == note.text
    assert [(key, None)] == [(one.key, one.seconds) for one in signed]
    assert EXAMPLE == bytes(note)
    assert EXAMPLE_KEY == key.text


def test_keys_of_the_go_documentation():
    """A secret key's text gives its verifier's."""
    key = SigningKey.from_text(GO_SECRET)

    assert (GO_KEY, GO_SECRET) == (key.verifier.text, key.text)


@settings(max_examples=200)
@given(st.integers(0, len(EXAMPLE) - 1), st.integers(1, 255))
def test_a_changed_byte_of_a_note_is_refused(at, change):
    """Wherever it is, whatever it becomes; or it names a key that nobody knows, and nobody has signed."""
    data = bytearray(EXAMPLE)
    data[at] ^= change

    with pytest.raises(TlogError):
        open_note(bytes(data), [VerifierKey.from_text(EXAMPLE_KEY)])


@settings(max_examples=200)
@given(st.integers(0, len(EXAMPLE_KEY) - 1), st.integers(32, 126))
def test_a_changed_letter_of_a_key_is_refused(at, letter):
    """The id says so."""
    text = EXAMPLE_KEY[:at] + chr(letter) + EXAMPLE_KEY[at + 1 :]
    if text != EXAMPLE_KEY:
        with pytest.raises(KeyTextError):
            VerifierKey.from_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "a\u00a0b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY + "=",
        EXAMPLE_KEY + "\n",
        "x+00000000+" + base64_text.write(bytes([2]) + bytes(32)),
        "x+00000000+" + base64_text.write(bytes([1]) + bytes(31)),
        "x+00000000+",
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(KeyTextError):
        VerifierKey.from_text(text)
    with pytest.raises(KeyTextError):
        SigningKey.from_text(f"PRIVATE+KEY+{text}")


@pytest.mark.parametrize("name", ["", "a b", "a\u00a0b", "a+b", "a\nb", "a\x01b"])
def test_what_is_no_name_is_no_keys(name):
    with pytest.raises(KeyTextError):
        VerifierKey(name, Kind.NOTE, bytes(32))
    with pytest.raises(KeyTextError):
        SigningKey(name, Kind.NOTE, bytes(32))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_has_32_bytes(length):
    with pytest.raises(KeyTextError):
        VerifierKey("a", Kind.NOTE, bytes(length))
    with pytest.raises(KeyTextError):
        SigningKey("a", Kind.NOTE, bytes(length))


def test_a_secret_key_is_not_shown():
    """Neither where it is printed nor where its text is refused."""
    secret = GO_SECRET.rpartition("+")[2]
    assert secret not in repr(SigningKey.from_text(GO_SECRET))
    assert repr(SigningKey.from_text(GO_SECRET).seed) not in repr(SigningKey.from_text(GO_SECRET))
    for text in (
        GO_SECRET.replace("c74f20a3", "00000000"),
        GO_SECRET.removeprefix("PRIVATE+"),
        GO_SECRET.removeprefix("PRIVATE+KEY+"),
    ):
        with pytest.raises(KeyTextError) as refused:
            SigningKey.from_text(text)
        assert secret not in str(refused.value)


def test_one_key_has_two_ids():
    """The same secret as log and as witness is two keys, which sign different things."""
    log, witness = (SigningKey("example.com/x", kind, bytes(32)) for kind in Kind)

    assert log.verifier.public == witness.verifier.public
    assert log.verifier.id != witness.verifier.id
    note = sign(TEXT, [log])
    assert [] == signers(note, [witness.verifier])


def test_several_signatures():
    """Each key that is known is told, co-signers with their time; those of others are ignored."""
    note = checkpoint(7, ROOT, witnesses=2)
    keys = [WITNESSES[1].verifier, LOG_KEY.verifier, WITNESSES[2].verifier]
    _, signed = open_note(bytes(note), keys)

    assert [(LOG_KEY.verifier, None), (WITNESSES[1].verifier, AT + 1)] == [
        (one.key, one.seconds) for one in signed
    ]


def test_a_cosignature_signs_its_time():
    note = Note(TEXT, (signature(TEXT, WITNESS, at=AT),))
    line = note.signatures[0]
    later = Signature(line.name, line.key_id, (AT + 1).to_bytes(8, "big") + line.value[8:])

    assert AT == signers(note, [WITNESS.verifier])[0].seconds
    with pytest.raises(SignatureFalseError):
        signers(Note(TEXT, (later,)), [WITNESS.verifier])


def test_a_cosignature_is_the_one_of_the_specification():
    """Ed25519 over two lines and the whole note text; eight bytes of time before it: tlog-cosignature v1.0.1."""
    value = signature(TEXT, WITNESS, at=1_679_315_147).value
    message = b"cosignature/v1\ntime 1679315147\n" + TEXT.encode()

    assert 1_679_315_147 == int.from_bytes(value[:8], "big")
    Ed25519PublicKey.from_public_bytes(WITNESS.verifier.public).verify(value[8:], message)


def test_a_time_past_2_to_the_63rd_is_refused():
    """Though it is signed; by the library and by the one file."""
    seconds = 2**63
    message = b"cosignature/v1\ntime %d\n" % seconds + TEXT.encode()
    value = seconds.to_bytes(8, "big") + Ed25519PrivateKey.from_private_bytes(WITNESS.seed).sign(message)
    note = Note(TEXT, (Signature(WITNESS.name, WITNESS.verifier.id, value),))

    with pytest.raises(SignatureFalseError):
        signers(note, [WITNESS.verifier])
    with pytest.raises(verify.RefusedError):
        verify.read_note(str(note), "field_wrong").signed_by([verify.read_key(WITNESS.verifier.text)])


def test_a_key_that_signs_twice_counts_once():
    """If both are true; a false second one is refused as a false first one is."""
    twice = Note(TEXT, (signature(TEXT, WITNESS, at=AT), signature(TEXT, WITNESS, at=AT + 5)))
    line = twice.signatures[1]
    false = Note(TEXT, (twice.signatures[0], Signature(line.name, line.key_id, line.value[:-1] + b"\0")))

    assert [AT] == [one.seconds for one in signers(twice, [WITNESS.verifier])]
    with pytest.raises(SignatureFalseError):
        signers(false, [WITNESS.verifier])


@pytest.mark.parametrize("length", [0, 1, 7, 8, 63, 71, 73])
def test_a_signature_of_another_length_is_false(length):
    line = signature(TEXT, WITNESS, at=AT)
    cut = Signature(line.name, line.key_id, (line.value + b"\0")[:length])

    with pytest.raises(SignatureFalseError):
        signers(Note(TEXT, (cut,)), [WITNESS.verifier])


def test_nobody_known_is_nobody():
    with pytest.raises(UnsignedError):
        open_note(bytes(sign(TEXT, [LOG_KEY])), [])
    with pytest.raises(UnsignedError):
        open_note(bytes(sign(TEXT, [LOG_KEY])), [SigningKey(ORIGIN, Kind.NOTE, bytes(32)).verifier])


LINE = signature("a\n", LOG_KEY).line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n",
        "a\n\n",
        "a\n" + LINE,
        LINE,
        "a\n\n" + LINE[:-1],
        "a\n\n" + LINE[:-1] + "x",
        "a\n\n" + LINE[:-1] + " x\n",
        "a\n\n" + LINE.removeprefix("\u2014 "),
        "a\n\n" + LINE + "\n",
        "a\n\n" + LINE.replace("\u2014", "-"),
        "a\n\n" + LINE.replace(" ", "  "),
        "a\n\n" + LINE.replace("=", ""),
        "a\n\n" + LINE.replace("=\n", "=\r\n"),
        "a\t\n\n" + LINE,
        "a\x00\n\n" + LINE,
        "a\n\n\u2014 name AAAAAA==\n",
        "a\n\n\u2014 na+me AAAAAAA=\n",
        "a\n\n\u2014  AAAAAAA=\n",
        "a\n\n\u2014 name\n",
        "a\n\n" + LINE * 101,
        "a" * NOTE_BYTES_MAX + "\n\n" + LINE,
    ],
)
def test_what_is_no_note_is_refused(text):
    with pytest.raises(NoteError):
        Note.from_bytes(text.encode())
    if len(text) <= NOTE_BYTES_MAX:  # The one file leaves that to whoever brings it.
        with pytest.raises(verify.RefusedError):
            verify.read_note(text, "checkpoint_malformed")


def test_what_is_not_utf8_is_refused():
    with pytest.raises(NoteError):
        Note.from_bytes(b"a\xff\n\n" + LINE.encode())


def test_the_text_ends_at_the_last_empty_line():
    """It may have empty lines itself."""
    note = sign("a\n\nb\n\n", [LOG_KEY])

    assert "a\n\nb\n\n" == open_note(bytes(note), [LOG_KEY.verifier])[0].text
    assert 100 == len(Note.from_bytes(("a\n\n" + LINE * 100).encode()).signatures)


def test_a_checkpoint_is_what_it_was_written_as():
    for one in (Checkpoint("a b", 0, EMPTY_ROOT), Checkpoint(ORIGIN, 2**63 - 1, ROOT, ("x", "y z"))):
        assert one == Checkpoint.from_text(one.text)
    assert "ledger.thanhhoa.example/log\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a\n1\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "x",
        TEXT + "\nx\n",
        "\n" + TEXT.partition("\n")[2],
        TEXT.replace("\n7\n", "\n07\n"),
        TEXT.replace("\n7\n", "\n+7\n"),
        TEXT.replace("\n7\n", "\n-7\n"),
        TEXT.replace("\n7\n", "\n7 \n"),
        TEXT.replace("\n7\n", "\n\u0667\n"),
        TEXT.replace("\n7\n", "\n9223372036854775808\n"),
        TEXT.replace("\n7\n", "\n0\n"),
        TEXT.replace("=", ""),
        TEXT.replace("Hh8=", "Hh9="),
        TEXT.replace("AAEC", ""),
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(CheckpointError):
        Checkpoint.from_text(text)
