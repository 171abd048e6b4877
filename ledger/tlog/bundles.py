"""A dossier with all its proofs in one file, and the log's word for how many events it has.

The inclusion proofs say that these events were recorded; only a signed count says that no other was. A count is a note
of its own that names the log, the tree, the dossier and the number. Whoever withholds the newest events of a dossier
must therefore sign a number that the events themselves, once they turn up, prove to be a lie.

The key that states counts is at hand whenever somebody asks, the log's own is not. So the log signs, once, a second
note that says which key states counts for it; it is in the bundle too, and a policy need name the log's key alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal, Self
from uuid import UUID

import msgspec

from ledger.tlog import base64_text, leaves
from ledger.tlog.checkpoints import Checkpoint
from ledger.tlog.errors import BundleError
from ledger.tlog.keys import SigningKey, VerifierKey
from ledger.tlog.notes import Note, sign
from ledger.tlog.proofs import TlogProof
from ledger.tlog.tree import Nodes, inclusion_proof, leaf_hash

FORMAT: Literal["activation-ledger/bundle/v1"] = "activation-ledger/bundle/v1"
COUNT = "activation-ledger/count/v1"
COUNT_KEY = "activation-ledger/count-key/v1"


@dataclass(frozen=True, slots=True)
class Logged:
    """An event as its row has it."""

    position: int
    version: int
    recorded_at: datetime
    topic: str
    state: bytes
    """The exact bytes: another spelling of the same JSON has another leaf."""

    def entry(self, dossier_id: UUID) -> bytes:
        return leaves.entry(
            self.position,
            dossier_id,
            self.version,
            self.recorded_at,
            self.topic,
            sha256(self.state).digest(),
        )


class BundledEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event of a bundle."""

    position: int
    version: int
    recorded_at: datetime
    """UTC."""
    topic: str
    state: str
    leaf: str
    """Base 64. It follows from what stands above; beside it, a changed event and a false proof are told apart."""
    proof: list[str]
    """Inclusion proof (RFC 6962, section 2.1.1) in the checkpoint's tree; Base 64, from the leaf's sibling up."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``GET /v1/dossiers/{id}/proof`` answers, as JSON."""

    format: Literal["activation-ledger/bundle/v1"] = FORMAT
    dossier_id: UUID
    checkpoint: str
    """A note: C2SP tlog-checkpoint, with the signatures of log and witnesses."""
    count: str
    """A note: ``count_text``."""
    count_key: str
    """A note: ``count_key_text``."""
    events: list[BundledEvent]
    """In the order of versions."""

    def __bytes__(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a file; nothing is proved by that: ``verify`` does.

        Raises:
            BundleError: It is malformed or cut.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise BundleError(f"this is no bundle: {error}") from None


def count_text(checkpoint: Checkpoint, dossier_id: UUID, events: int) -> str:
    """Return the statement that a dossier has so many events in the tree of a checkpoint."""
    root = base64_text.write(checkpoint.root)
    return f"{COUNT}\n{checkpoint.origin}\n{checkpoint.size}\n{root}\n{dossier_id}\n{events}\n"


def count_key_text(origin: str, key: VerifierKey) -> str:
    """Return the statement that a key states counts for a log; the log signs it."""
    return f"{COUNT_KEY}\n{origin}\n{key.text}\n"


def dossier_bundle(
    dossier_id: UUID,
    events: Iterable[Logged],
    nodes: Nodes,
    checkpoint: Note,
    *,
    counting: SigningKey,
    count_key: Note,
) -> Bundle:
    """Return a dossier's bundle. The count that it signs is the number of events that it is given.

    Args:
        events: All of the dossier's in the checkpoint's tree and none after it, in the order of versions.
        nodes: Of a tree at least as large as the checkpoint's.
        counting: The key that states counts.
        count_key: The log's word for that key: a note of ``count_key_text``.

    Raises:
        BundleError: The events cannot be all of a dossier's; the rows were tampered with. No number is stated.
        ProofError: One of them is not in the checkpoint's tree.
    """
    head = Checkpoint.from_text(checkpoint.text)
    bundled = [_bundled(dossier_id, event, head.size, nodes) for event in events]
    if [event.version for event in bundled] != list(range(1, len(bundled) + 1)):
        # Nothing may state a number of events of which one is missing.
        raise BundleError("the events of the dossier are not numbered 1, 2, 3 without a gap")
    return Bundle(
        dossier_id=dossier_id,
        checkpoint=str(checkpoint),
        count=str(sign(count_text(head, dossier_id, len(bundled)), [counting])),
        count_key=str(count_key),
        events=bundled,
    )


def event_proof(stream: UUID, event: Logged, nodes: Nodes, checkpoint: Note) -> TlogProof:
    """Return one event's proof: what ``GET /v1/events/{position}/proof`` answers.

    It holds the entry, and so the hash of the event's content, not the content.
    """
    head = Checkpoint.from_text(checkpoint.text)
    index = event.position - 1
    hashes = inclusion_proof(index, head.size, nodes)
    return TlogProof(index, tuple(hashes), checkpoint, event.entry(stream))


def _bundled(dossier_id: UUID, event: Logged, size: int, nodes: Nodes) -> BundledEvent:
    try:
        state = event.state.decode()
    except UnicodeDecodeError:
        raise BundleError("the content of an event is no text") from None
    return BundledEvent(
        position=event.position,
        version=event.version,
        recorded_at=event.recorded_at.astimezone(UTC),
        topic=event.topic,
        state=state,
        leaf=base64_text.write(leaf_hash(event.entry(dossier_id))),
        proof=[base64_text.write(hash_) for hash_ in inclusion_proof(event.position - 1, size, nodes)],
    )
