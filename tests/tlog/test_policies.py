"""Who must have signed: policies as C2SP tlog-policy writes them, and checkpoints held against them."""

from hashlib import sha256

import pytest

from ledger.tlog import base64_text, verify
from ledger.tlog.errors import (
    LogUnknownError,
    PolicyError,
    QuorumMissingError,
    SignatureFalseError,
    UnsignedError,
)
from ledger.tlog.keys import Kind, SigningKey
from ledger.tlog.notes import Note, sign
from ledger.tlog.policies import read_policy
from tests.tlog.logs import AT, LOG_KEY, ORIGIN, POLICY, checkpoint

ROOT = bytes(range(32))
LOG = LOG_KEY.verifier.text
KEYS = [
    SigningKey(f"w.example/{number}", Kind.COSIGNATURE, bytes([number] * 32)).verifier.text
    for number in range(6)
]
X_AND_Y = "\n".join(
    [
        f"log {LOG}",
        *(f"witness X{number} {KEYS[number]}" for number in (0, 1, 2)),
        "group X-witnesses 2 X0 X1 X2",
        *(f"witness Y{number} {KEYS[number]}" for number in (3, 4, 5)),
        "group Y-witnesses any Y3 Y4 Y5",
        "group X-and-Y all X-witnesses Y-witnesses",
        "quorum X-and-Y",
    ]
).encode()


def test_a_checkpoint_that_log_and_witnesses_have_signed_is_accepted():
    accepted = read_policy(POLICY).accept(bytes(checkpoint(7, ROOT)))

    assert (ORIGIN, 7, ROOT) == (
        accepted.checkpoint.origin,
        accepted.checkpoint.size,
        accepted.checkpoint.root,
    )
    assert (LOG_KEY.verifier,) == accepted.logs
    assert {"w1": AT, "w2": AT + 1} == {name: signed.seconds for name, signed in accepted.witnesses.items()}


def test_who_is_missing_is_told():
    policy, good = read_policy(POLICY), checkpoint(7, ROOT)
    with pytest.raises(QuorumMissingError):
        policy.accept(bytes(checkpoint(7, ROOT, witnesses=1)))
    with pytest.raises(UnsignedError):
        policy.accept(bytes(Note(good.text, good.signatures[1:])))
    with pytest.raises(UnsignedError):
        policy.accept(bytes(checkpoint(7, ROOT, key=SigningKey(ORIGIN, Kind.NOTE, bytes(32)))))
    with pytest.raises(LogUnknownError):
        policy.accept(bytes(sign(good.text.replace("example", "elsewhere"), [LOG_KEY])))
    with pytest.raises(SignatureFalseError):
        policy.accept(bytes(Note(good.text.replace("\n7\n", "\n8\n"), good.signatures)))


def test_a_log_that_changes_its_key_is_accepted_by_either():
    """While it rotates it signs by both, and a policy may name one or both."""
    new = SigningKey(ORIGIN, Kind.NOTE, bytes([9] * 32))
    text = checkpoint(7, ROOT).text
    both = bytes(sign(text, [LOG_KEY, new]))
    for named in ([LOG_KEY], [new], [LOG_KEY, new]):
        policy = "".join(f"log {key.verifier.text}\n" for key in named) + "quorum none\n"
        assert tuple(key.verifier for key in named) == read_policy(policy.encode()).accept(both).logs


@pytest.mark.parametrize(
    ("names", "enough"),
    [
        ("", False),
        ("X0 X1", False),
        ("X0 Y3", False),
        ("Y3 Y4 Y5", False),
        ("X0 X2 Y4", True),
        ("X0 X1 X2 Y3 Y4 Y5", True),
    ],
)
def test_groups_of_groups(names, enough):
    """The example of the specification: two of X and one of Y."""
    assert enough == read_policy(X_AND_Y).is_quorum(set(names.split()))
    assert enough == verify.read_policy(X_AND_Y).is_enough(set(names.split()))


def vkey(name, kind, public, key_id=None):
    """A verifier key whose id is right, whatever else is not."""
    typed = bytes([kind]) + public
    right = sha256(name.encode() + b"\n" + typed).hexdigest()[:8]
    return f"{name}+{key_id or right}+{base64_text.write(typed)}"


W = [f"witness w{number} {KEYS[number]}\n" for number in range(6)]


@pytest.mark.parametrize(
    "text",
    [
        f"log {LOG}\nquorum none\n",
        f"log {LOG}\nquorum none",
        f"log {vkey('x', 1, bytes(32))}\nquorum none",
        f"\n \t\n  # comment \u00e9\n\tlog\t {LOG} \t https://log.example/ \nquorum  none \n",
        "quorum none\n",
        W[0] + f"log {LOG}\nquorum w0\n",
        W[0] + W[1] + "group g 1 w0\ngroup h all w1\nquorum g\n",
        "".join(W[:3]) + "group none-but 3 w0 w1 w2\nquorum none-but\n",
        f"witness \u00e9\u00a0x {KEYS[0]}\nquorum \u00e9\u00a0x\n",
    ],
)
def test_policies_that_are_read(text):
    read_policy(text.encode())
    verify.read_policy(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"log {LOG}\n",
        "quorum none\nquorum none\n",
        "quorum w0\n" + W[0],
        "quorum\n",
        "quorum none none\n",
        "log\nquorum none\n",
        f"log {LOG} url more\nquorum none\n",
        f"log {LOG}\nlog {LOG}\nquorum none\n",
        f"log {LOG}\nlog {SigningKey('other', Kind.NOTE, LOG_KEY.seed).verifier.text}\nquorum none\n",
        f"log {KEYS[0]}\nquorum none\n",
        f"witness w {LOG}\nquorum none\n",
        f"witness none {KEYS[0]}\nquorum none\n",
        f"witness w {KEYS[0]} url more\nquorum none\n",
        W[0] + W[0].replace("w0", "w9") + "quorum none\n",
        W[0] + f"witness w0 {KEYS[1]}\nquorum none\n",
        W[0] + "group w0 any w0\nquorum none\n",
        W[0] + "group none any w0\nquorum none\n",
        W[0] + "group g any w0\ngroup g any w0\nquorum none\n",
        W[0] + "group g any\nquorum none\n",
        W[0] + "group g any w1\nquorum none\n",
        W[0] + "group g any none\nquorum none\n",
        W[0] + "group g any g\nquorum none\n",
        W[0] + "group g any w0 w0\nquorum none\n",
        W[0] + "group g any w0\ngroup h any w0\nquorum none\n",
        W[0] + "group g 0 w0\nquorum none\n",
        W[0] + "group g 2 w0\nquorum none\n",
        W[0] + "group g 01 w0\nquorum none\n",
        W[0] + "group g -1 w0\nquorum none\n",
        W[0] + "group g most w0\nquorum none\n",
        W[0] + "group g " + "9" * 5000 + " w0\nquorum none\n",
        f"log {LOG}\r\nquorum none\r\n",
        "# comment\r\nquorum none\n",
        "# comment\x7f\nquorum none\n",
        f"log {LOG}\nquorum none\n\x00",
        f"Log {LOG}\nquorum none\n",
        f"log\u00a0{LOG}\nquorum none\n",
        "log x+00000000+AAAA\nquorum none\n",
        f"log {vkey('x', 1, bytes(32), key_id='00000000')}\nquorum none\n",
        f"log {vkey('x', 1, bytes(31))}\nquorum none\n",
        f"log {vkey('x', 2, bytes(32))}\nquorum none\n",
        f"log {vkey('', 1, bytes(32))}\nquorum none\n",
        "log " + vkey("a\u00a0b", 1, bytes(32)) + "\nquorum none\n",
    ],
)
def test_policies_that_are_refused(text):
    with pytest.raises(PolicyError):
        read_policy(text.encode())
    with pytest.raises(verify.PolicyMalformedError):
        verify.read_policy(text.encode())


def test_names_are_octets():
    """What is no UTF-8 may be a name, and is another one than the letter that it looks like."""
    policy = f"witness \udcff {KEYS[0]}\nquorum \udcff\n".encode(errors="surrogateescape")
    assert read_policy(policy).is_quorum({"\udcff"})
    assert verify.read_policy(policy).is_enough({"\udcff"})
    key = KEYS[0].encode().replace(b"w.example", b"\xff.example")
    for read, error in ((read_policy, PolicyError), (verify.read_policy, verify.PolicyMalformedError)):
        with pytest.raises(error):
            read(b"witness w " + key + b"\nquorum none\n")


def test_what_is_too_large_is_not_read():
    with pytest.raises(PolicyError):
        read_policy(b"quorum none\n#" + b"x" * 1_000_000)


def test_groups_may_be_many_and_deep():
    """32 logs, witnesses and groups must do; a thousand groups, each in the next, do."""
    deep = (
        W[0]
        + "group g0 any w0\n"
        + "".join(f"group g{n} all g{n - 1}\n" for n in range(1, 1000))
        + "quorum g999\n"
    )

    assert read_policy(deep.encode()).is_quorum({"w0"})
    assert not read_policy(deep.encode()).is_quorum(set())
    assert verify.read_policy(deep.encode()).is_enough({"w0"})
