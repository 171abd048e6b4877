"""Check a proof of the activation ledger: python verify.py FILE --policy POLICY [--format json].

FILE is a dossier's bundle (JSON), or one event's proof (C2SP tlog-proof). POLICY says whom you trust: the log's key, and
which witnesses must have co-signed (C2SP tlog-policy). Get it from somebody other than whoever gave you FILE.

What is checked, in this order, and in this file alone. It needs Python 3.11 and the package cryptography, no network, no
database, and nothing else of the ledger; read it from top to bottom before you believe it.

1. The log has signed the checkpoint (how many events its tree has, and the tree's root), and enough witnesses, who have
   seen every checkpoint grow out of the one before, have co-signed it.
2. Each event, as it stands in the file, is a leaf of that tree, at its position: its content, its time of recording and
   its number in the dossier are those that were recorded.
3. The events are numbered 1, 2, 3 without a gap, and the log has stated with its signature that the dossier has so many
   and no more. Should another event of that dossier turn up in the same tree, that statement and its proof are
   together the proof of a lie.

What is not checked: whether an officer reported the truth.

Exit status: 0 all of it is true; 1 something is not, and each fault is named; 2 wrong use: no such file, or a malformed
policy. Formats: RFC 6962 (June 2013); C2SP signed-note v1.0.0, tlog-checkpoint v1.0.0, tlog-cosignature v1.0.1,
tlog-proof of 22 May 2026, tlog-policy of 22 June 2026.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FAULTS = {
    "file_cut": "the file is cut or damaged: it cannot be read",
    "file_unknown": "the file is neither a dossier's bundle nor an event's proof of an activation ledger",
    "field_wrong": "a field of the file is missing, unknown, or not of its form",
    "checkpoint_malformed": "the checkpoint is none",
    "log_unknown": "the checkpoint is of a log that the policy does not name",
    "checkpoint_not_signed": "the log has not signed the checkpoint with a key of the policy",
    "signature_false": "a signature is false: what it is said to sign was changed, or it was made up",
    "quorum_missing": "fewer witnesses have co-signed the checkpoint than the policy asks for",
    "event_changed": "the event is not what it was when its place in the tree was computed",
    "proof_false": "the event is not proved to stand at its position in the tree",
    "position_outside": "the event's position is not in the tree of the checkpoint",
    "event_missing": "an event is missing, or stands twice: they are numbered 1, 2, 3 without a gap",
    "order_false": "an event stands or was recorded before the one before it",
    "count_not_signed": "nobody the log has named states how many events the dossier has",
    "count_of_another": "the stated number is about another log, tree or dossier",
    "tail_withheld": "the log states that the dossier has more events than the file holds",
    "events_too_many": "the file holds more events than the log states that the dossier has",
}
"""Every fault that can be found, and what it means."""

FORMAT = "activation-ledger/bundle/v1"
SIZE_MAX = 2**63 - 1


class RefusedError(Exception):
    """A fault was found."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(FAULTS[code] + (f" ({detail})" if detail else ""))
        self.code = code


class PolicyMalformedError(ValueError):
    """The policy cannot be used; nothing was checked."""


# Hashes: RFC 6962, section 2.1.


def leaf_of(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def parent_of(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that a path of section 2.1.1 leads to, from a leaf's sibling up. Wrong length: proof_false."""
    if size == 1 or not path:
        if size > 1 or path:
            refuse("proof_false", "it has not as many hashes as the tree has levels there")
        return leaf
    # Leaves left of the root: the largest power of two below the size.
    left = 1 << (size - 1).bit_length() - 1
    *below, sibling = path
    if index < left:
        return parent_of(root_from(leaf, index, left, below), sibling)
    return parent_of(sibling, root_from(leaf, index - left, size - left, below))


ENTRY_HEAD = struct.Struct(">20sq16sqqi")
ENTRY_BEGINS = b"activation-ledger/v1"


@dataclass(frozen=True)
class Event:
    """One event, as the file has it."""

    position: int
    """In the log, from 1."""
    stream: UUID
    """The dossier."""
    version: int
    """In the dossier, from 1."""
    microseconds: int
    """When it was recorded, since 1970 UTC."""
    topic: str
    state_hash: bytes
    path: list[bytes]
    state: str | None = None
    """The content; an event's proof has its hash alone."""
    leaf: bytes | None = None
    """As the file says; the leaf that counts is computed."""

    @property
    def entry(self) -> bytes:
        """The bytes whose hash is the leaf (version 1 of them)."""
        topic = self.topic.encode()
        return (
            ENTRY_HEAD.pack(
                ENTRY_BEGINS, self.position, self.stream.bytes, self.version, self.microseconds, len(topic)
            )
            + topic
            + self.state_hash
        )

    @property
    def recorded_at(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.microseconds)


# Signatures: C2SP signed-note, tlog-cosignature.

NOTE, COSIGNATURE = 1, 4


@dataclass(frozen=True)
class Key:
    """A key that may have signed."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def time_of(self, text: bytes, signature: bytes) -> int | None:
        """Return the seconds since 1970 that a co-signature names. Raises InvalidSignature."""
        seconds = None
        if self.kind == COSIGNATURE:
            seconds, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            if seconds > SIZE_MAX:
                raise InvalidSignature
            text = b"cosignature/v1\ntime %d\n" % seconds + text
        Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        return seconds


def read_key(text: str) -> Key:
    """Read a verifier key, name+id+key, of whatever kind. Raises ValueError."""
    name, id_text, key_text = text.split("+", 2)
    data = read_base64(key_text)
    key = Key(name, data[0] if data else 0, data[1:])
    if not is_name(name) or len(key.public) != 32:
        raise ValueError("the key has no name, or is not Ed25519")
    if key.id.hex() != id_text:
        raise ValueError("the key's id is not that of its name and bytes")
    return key


def is_name(text: str) -> bool:
    return bool(text) and "+" not in text and not any(letter.isspace() or letter < " " for letter in text)


def is_text(whole: str) -> bool:
    """Whether it can be UTF-8 and has no control characters but ends of lines."""
    return not any((letter < " " and letter != "\n") or "\ud800" <= letter <= "\udfff" for letter in whole)


@dataclass(frozen=True)
class Note:
    """A text, and lines that claim to be its signatures."""

    text: str
    lines: list[tuple[str, bytes]]
    """Name of the key; id of the key and signature."""

    def signed_by(self, keys: list[Key]) -> dict[Key, int | None]:
        """Return which keys have signed, and when if they say. Unknown ones are ignored; a known one that has not: false."""
        found: dict[Key, int | None] = {}
        for name, data in self.lines:
            for key in keys:
                if (key.name, key.id) != (name, data[:4]):
                    continue
                try:
                    seconds = key.time_of(self.text.encode(), data[4:])
                except (InvalidSignature, ValueError):
                    refuse("signature_false", f"of {name}")
                found.setdefault(key, seconds)
        return found


def read_note(whole: str, code: str) -> Note:
    """Read a note; malformed, it is refused by that code."""
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n") or not is_text(whole):
        refuse(code, "it is no signed note")
    signature_lines = lines[:-1].split("\n")
    if len(signature_lines) > 100:
        refuse(code, "it has more than 100 signature lines")
    signatures: list[tuple[str, bytes]] = []
    for line in signature_lines:
        dash, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        data = base64_or(code, value)
        if dash != "\u2014" or not is_name(name) or len(data) < 5:
            refuse(code, "a signature line is none")
        signatures.append((name, data))
    return Note(text + "\n", signatures)


# The policy: C2SP tlog-policy.


@dataclass
class Policy:
    """Whom the reader trusts."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: list[tuple[str, int, list[str]]] = field(default_factory=list)
    """Name, how many of the members are needed, members; each after its members."""
    quorum: list[str] = field(default_factory=list)

    def is_enough(self, cosigned: set[str]) -> bool:
        witnessed = {"none", *cosigned}
        for name, least, members in self.groups:
            if len(witnessed.intersection(members)) >= least:
                witnessed.add(name)
        return self.quorum[0] in witnessed

    def add(self, words: list[str]) -> None:
        """Take a line. Raises ValueError."""
        defined = {*self.witnesses, *(group[0] for group in self.groups)}
        taken = {member for group in self.groups for member in group[2]}
        match words:
            case ["log", text, *url] if len(url) < 2:
                self.logs.append(self._new(text, NOTE, self.logs))
            case ["witness", name, text, *url] if len(url) < 2 and name not in {"none", *defined}:
                self.witnesses[name] = self._new(text, COSIGNATURE, [*self.witnesses.values()])
            case ["group", name, needed, *members] if members and name not in {"none", *defined}:
                if not set(members) <= defined - taken or len(set(members)) < len(members):
                    raise ValueError("a member is defined before, and a member of one group only")
                least = {"any": 1, "all": len(members)}.get(needed) or read_number(needed)
                if not 1 <= least <= len(members):
                    raise ValueError("more members are needed than there are, or none")
                self.groups.append((name, least, members))
            case ["quorum", name] if name in {"none", *defined} and not self.quorum:
                self.quorum.append(name)
            case _:
                raise ValueError("it is no line of a policy, or its name is taken or not known")

    @staticmethod
    def _new(text: str, kind: int, known: list[Key]) -> Key:
        key = read_key(text)
        if key.kind != kind or any(key.public == other.public for other in known):
            raise ValueError("the key is of the other kind (logs 01, witnesses 04), or there already")
        return key


def read_policy(data: bytes) -> Policy:
    """Read a policy file. Raises PolicyMalformedError."""
    policy = Policy()
    if any((octet < 32 and octet not in b"\t\n") or octet == 127 for octet in data):
        raise PolicyMalformedError("a policy has no control characters but tabs and ends of lines")
    for number, line in enumerate(data.decode(errors="surrogateescape").split("\n"), 1):
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if words and not words[0].startswith("#"):
            try:
                policy.add(words)
            except ValueError as error:
                raise PolicyMalformedError(f"line {number} of the policy: {error}") from None
    if not policy.quorum:
        raise PolicyMalformedError("the policy has no line that begins with quorum")
    return policy


# The file.


@dataclass(frozen=True)
class Bundle:
    """What the file holds."""

    stream: UUID
    checkpoint: str
    events: list[Event]
    count: str = ""
    count_key: str = ""
    is_whole: bool = False
    """Whether it is a dossier's bundle; one event's proof says nothing of the other events."""


def read_bundle(data: bytes) -> Bundle:
    """Read a dossier's bundle."""
    try:
        document = json.loads(data.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError):  # A UnicodeDecodeError is a ValueError.
        refuse("file_cut")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        refuse("file_unknown")
    document.pop("format")
    stream, checkpoint, count, count_key, events = fields(
        document, dossier_id=str, checkpoint=str, count=str, count_key=str, events=list
    )
    dossier_id = read_uuid(stream)
    held = [read_event(event, dossier_id) for event in events]
    return Bundle(dossier_id, checkpoint, held, count, count_key, is_whole=True)


def read_event(document: Any, dossier_id: UUID) -> Event:
    if not isinstance(document, dict):
        refuse("field_wrong", "an event is an object")
    position, version, recorded_at, topic, state, leaf, proof = fields(
        document, position=int, version=int, recorded_at=str, topic=str, state=str, leaf=str, proof=list
    )
    if not 1 <= position <= SIZE_MAX or not 1 <= version <= SIZE_MAX:
        refuse("field_wrong", "position and version count from 1")
    try:
        state_hash = hashlib.sha256(state.encode()).digest()
        topic.encode()
    except UnicodeEncodeError:
        refuse("field_wrong", "state and topic are text")
    if not all(isinstance(hash_, str) for hash_ in proof):
        refuse("field_wrong", "a proof is a list of hashes")
    path = [base64_or("field_wrong", hash_, 32) for hash_ in proof]
    moment = read_time(recorded_at)
    return Event(
        position,
        dossier_id,
        version,
        moment,
        topic,
        state_hash,
        path,
        state,
        base64_or("field_wrong", leaf, 32),
    )


def read_proof(data: bytes) -> Bundle:
    """Read one event's proof: C2SP tlog-proof, with the entry as its extra data."""
    head, _, checkpoint = data.partition(b"\n\n")
    try:
        lines, note = head.decode("ascii").split("\n")[1:], checkpoint.decode()
    except UnicodeDecodeError:
        refuse("file_cut")
    if len(lines) < 2 or not lines[0].startswith("extra ") or not lines[1].startswith("index ") or not note:
        refuse(
            "file_cut" if not note else "field_wrong",
            "an event's proof has the entry as extra, and its index",
        )
    entry = base64_or("field_wrong", lines[0].removeprefix("extra "))
    path = [base64_or("field_wrong", line, 32) for line in lines[2:]]
    try:
        index = read_number(lines[1].removeprefix("index "))
        begins, position, stream, version, microseconds, length = ENTRY_HEAD.unpack_from(entry)
        topic = entry[ENTRY_HEAD.size : -32].decode()
        event = Event(position, UUID(bytes=stream), version, microseconds, topic, entry[-32:], path)
        is_entry = (begins, length, event.entry) == (ENTRY_BEGINS, len(topic.encode()), entry)
        _ = event.recorded_at  # Some numbers are no time.
    except (ValueError, struct.error, OverflowError):
        refuse("field_wrong", "the entry or the index is none")
    if not is_entry or index != position - 1:
        refuse("field_wrong", "the entry is none of this ledger, or of another position")
    return Bundle(event.stream, note, [event])


def fields(document: dict[str, Any], **kinds: type) -> list[Any]:
    """Return an object's values in that order; it has these and no others."""
    if document.keys() != kinds.keys() or any(
        type(document[name]) is not kind for name, kind in kinds.items()
    ):
        refuse("field_wrong", f"expected {', '.join(kinds)}")
    return [document[name] for name in kinds]


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        refuse("field_wrong", "a name stands twice in an object")
    return dict(pairs)


def read_base64(text: str) -> bytes:
    data = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(data).decode() != text:  # Else some letters could be changed without a change.
        raise ValueError("this is not Base 64 as it is to be written")
    return data


def base64_or(code: str, text: str, length: int | None = None) -> bytes:
    try:
        data = read_base64(text)
    except ValueError:
        data = None
    if data is None or length not in (None, len(data)):
        refuse(code, "this is not Base 64, or not as long as it must be")
    return data


def read_number(text: str) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text) or int(text) > SIZE_MAX:
        raise ValueError("this is no decimal number without leading zeroes")
    return int(text)


def read_uuid(text: str) -> UUID:
    if not re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        refuse("field_wrong", "a dossier's id is a UUID")
    return UUID(text)


def read_time(text: str) -> int:
    """Return the microseconds since 1970 of a time like 2024-12-09T16:00:00.123456Z."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z", text, re.ASCII)
    if match is None:
        refuse("field_wrong", "a time of recording is UTC and ends with Z")
    try:
        whole = datetime.fromisoformat(match[1] + "+00:00")
    except ValueError:
        refuse("field_wrong", "a time of recording is on no calendar")
    seconds = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * 1_000_000 + int((match[2] or "").ljust(6, "0"))


def refuse(code: str, detail: str = "") -> NoReturn:
    raise RefusedError(code, detail)


# What is true.


@dataclass
class Report:
    """What was found: everything in it is as the file says, and true if there is no fault."""

    dossier_id: str | None = None
    origin: str | None = None
    size: int | None = None
    root: str | None = None
    witnesses: dict[str, str] = field(default_factory=dict)
    """Who has co-signed, by the policy's names, and when (UTC, as the witness says)."""
    count: int | None = None
    """How many events the dossier has, as the log states; None: the file does not bring it."""
    events: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    """Each: fault (a name of FAULTS), version of the event or None, detail."""

    @property
    def is_true(self) -> bool:
        return not self.faults

    def document(self) -> dict[str, Any]:
        return {"verified": self.is_true, **self.__dict__}

    @property
    def sentence(self) -> str:
        """The outcome, for people."""
        if not self.is_true:
            return f"NOT VERIFIED: {len(self.faults)} fault{'s' * (len(self.faults) > 1)} found"
        if self.count is None:
            return (
                f"VERIFIED: this event was recorded at position {self.events[0]['position']:,}; what else the dossier "
                "has is not in this file, and of the event's content its hash alone"
            )
        return (
            f"VERIFIED: dossier {self.dossier_id} has {self.count} event{'s' * (self.count != 1)} among the first "
            f"{self.size:,} of the log, and they are these"
        )

    @property
    def remarks(self) -> list[str]:
        """What stands behind the outcome, for people."""
        if self.origin is None:
            return []
        return [
            f"log {printable(self.origin)}: {self.size:,} events, root {self.root}",
            *(f"co-signed by {printable(name)} at {time}" for name, time in self.witnesses.items()),
        ]

    def fault(self, error: RefusedError, event: Event | None = None) -> None:
        version = None if event is None else event.version
        self.faults.append({"fault": error.code, "version": version, "detail": str(error)})


def verify(data: bytes, policy_data: bytes) -> Report:
    """Check a file against a policy. Raises PolicyMalformedError; every other fault is in the report."""
    policy, report = read_policy(policy_data), Report()
    try:
        bundle = (read_proof if data.startswith(b"c2sp.org/tlog-proof@v1\n") else read_bundle)(data)
        report.dossier_id = str(bundle.stream)
        report.events = [told(event) for event in bundle.events]
        note = read_note(bundle.checkpoint, "checkpoint_malformed")
        report.origin, report.size, root = read_checkpoint(note.text)
        report.root = base64.b64encode(root).decode()
    except RefusedError as error:
        report.fault(error)
        return report
    logs = [key for key in policy.logs if key.name == report.origin]
    try:
        check_signatures(note, logs, policy, report)
    except RefusedError as error:
        report.fault(error)
    for event in bundle.events:
        try:
            check_event(event, report.size, root)
        except RefusedError as error:
            report.fault(error, event)
    if bundle.is_whole:
        check_order(bundle.events, report)
        try:
            report.count = stated_count(bundle, logs, note.text)
            check_count(report.count, len(bundle.events))
        except RefusedError as error:
            report.fault(error)
    return report


def read_checkpoint(text: str) -> tuple[str, int, bytes]:
    """Return origin, size and root: C2SP tlog-checkpoint."""
    origin, *more = text.split("\n")
    if not all([origin, *more[:-1]]):
        refuse("checkpoint_malformed", "a line of it is empty")
    try:
        size = read_number(more[0])
    except ValueError:
        refuse("checkpoint_malformed", "its size is no number")
    root = base64_or("checkpoint_malformed", more[1], 32)
    if size == 0 and root != hashlib.sha256().digest():
        refuse("checkpoint_malformed", "its root is not that of a tree without leaves")
    return origin, size, root


def check_signatures(note: Note, logs: list[Key], policy: Policy, report: Report) -> None:
    if not logs:
        refuse("log_unknown")
    signed = note.signed_by([*logs, *policy.witnesses.values()])
    if not signed.keys() & set(logs):
        refuse("checkpoint_not_signed")
    times = {name: signed[key] for name, key in policy.witnesses.items() if key in signed}
    report.witnesses = {name: clock(seconds) for name, seconds in times.items()}
    if not policy.is_enough(set(times)):
        refuse("quorum_missing", f"{len(times)} of {len(policy.witnesses)} have")


def check_event(event: Event, size: int, root: bytes) -> None:
    leaf = leaf_of(event.entry)
    if event.leaf not in (None, leaf):
        refuse("event_changed")
    if event.position > size:
        refuse("position_outside")
    if root_from(leaf, event.position - 1, size, event.path) != root:
        refuse("proof_false")


def check_order(events: list[Event], report: Report) -> None:
    before = None
    for number, event in enumerate(events, 1):
        if event.version != number:
            report.fault(RefusedError("event_missing", f"number {number} should stand here"), event)
            return
        if before and (event.position <= before.position or event.microseconds < before.microseconds):
            report.fault(RefusedError("order_false"), event)
        before = event


def stated_count(bundle: Bundle, logs: list[Key], checkpoint: str) -> int:
    """Return the number that a key states to which the log has given its word."""
    word = read_note(bundle.count_key, "count_not_signed")
    lines = word.text.split("\n")
    if len(lines) != 4 or lines[0] != "activation-ledger/count-key/v1" or not word.signed_by(logs):
        refuse("count_not_signed", "the log has not said which key states counts")
    try:
        key = read_key(lines[2])
    except ValueError:
        refuse("count_not_signed", "the key that states counts is none")
    statement = read_note(bundle.count, "count_not_signed")
    if key.kind != NOTE or not statement.signed_by([key]):
        refuse("count_not_signed", "the key that states counts has not signed the number")
    *about, count, _ = statement.text.split("\n")
    tree = checkpoint.split("\n")[:3]
    if lines[1] != tree[0] or about != ["activation-ledger/count/v1", *tree, str(bundle.stream)]:
        refuse("count_of_another")
    try:
        return read_number(count)
    except ValueError:
        refuse("count_not_signed", "the number is none")


def check_count(count: int, held: int) -> None:
    if held < count:
        refuse("tail_withheld", f"it states {count}, the file holds {held}")
    if held > count:
        refuse("events_too_many", f"it states {count}, the file holds {held}")


# For people and programs.


def told(event: Event) -> dict[str, Any]:
    """Return what to show of an event; of its content what it says of itself, if it can be read."""
    try:
        content = json.loads(event.state or "{}")
    except (ValueError, RecursionError):
        content = {}
    shown = content if isinstance(content, dict) else {}
    return {
        "version": event.version,
        "position": event.position,
        "recorded_at": event.recorded_at.isoformat().replace("+00:00", "Z"),
        "type": event.topic,
        **{name: plain(shown.get(name)) for name in ("level", "occurred_at", "unit", "actor")},
    }


def plain(value: Any) -> str | int | None:
    """Return a value of an event's content that can be shown as it is."""
    return value if value in (1, 2) or (isinstance(value, str) and value.isprintable()) else None


def printable(text: str) -> str:
    """Return a text of the file without anything that a terminal obeys."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def clock(seconds: int | None) -> str:
    try:
        return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} seconds after 1970"


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows in columns."""
    cells = [["" if value is None else printable(str(value)) for value in row.values()] for row in rows]
    lines = [list(rows[0]), *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Check a proof of the activation ledger, without the ledger."
    )
    parser.add_argument("file", type=Path, help="a dossier's bundle or an event's proof")
    parser.add_argument("--policy", type=Path, required=True, help="whom you trust (C2SP tlog-policy)")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    given = parser.parse_args(arguments)
    try:
        report = verify(given.file.read_bytes(), given.policy.read_bytes())
    except (OSError, PolicyMalformedError) as error:
        parser.error(str(error))
    if given.format == "json":
        parts = [json.dumps(report.document(), indent=2)]
    else:
        parts = [report.sentence, *report.remarks]
        parts += ["", table(report.events)] if report.events else []
        parts += ["", table(report.faults)] if report.faults else []
    # A letter that the output cannot take becomes a question mark: as an error it would look like a fault of the file.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write("\n".join([*parts, ""]).encode(encoding, "replace").decode(encoding))
    return 0 if report.is_true else 1


if __name__ == "__main__":
    sys.exit(main())
