"""A made-up log with its keys, witnesses, policy and dossiers, for tests that need no database."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from uuid import UUID

from ledger.tlog.bundles import Bundle, Logged, count_key_text, dossier_bundle, event_proof
from ledger.tlog.checkpoints import Checkpoint
from ledger.tlog.keys import Kind, SigningKey
from ledger.tlog.notes import Note, sign, signature
from ledger.tlog.proofs import TlogProof
from ledger.tlog.tree import Nodes, leaf_hash, nodes_of, root

ORIGIN = "ledger.thanhhoa.example/log"
LOG_KEY = SigningKey(ORIGIN, Kind.NOTE, bytes([1] * 32))
COUNT_KEY = SigningKey(f"{ORIGIN}/count", Kind.NOTE, bytes([2] * 32))
WITNESSES = [
    SigningKey(f"witness.example/w{number}", Kind.COSIGNATURE, bytes([10 + number] * 32))
    for number in (1, 2, 3)
]
POLICY = f"""# Who must have signed.
log {LOG_KEY.verifier.text}
witness w1 {WITNESSES[0].verifier.text}
witness w2 {WITNESSES[1].verifier.text} https://w2.example/
witness w3 {WITNESSES[2].verifier.text}
group two 2 w1 w2 w3
quorum two
""".encode()
DOSSIER = UUID("01938a6e-7c00-7000-8000-000000000001")
OTHER = UUID("01938a6e-7c00-7000-8000-000000000002")
AT = 1_732_482_000


def checkpoint(size: int, root_hash: bytes, *, witnesses: int = 2, key: SigningKey = LOG_KEY) -> Note:
    """Return a checkpoint signed by the log and so many of its witnesses, one second apart."""
    text = Checkpoint(ORIGIN, size, root_hash).text
    cosigned = [signature(text, WITNESSES[number], at=AT + number) for number in range(witnesses)]
    return Note(text, (*sign(text, [key]).signatures, *cosigned))


def count_key(key: SigningKey = COUNT_KEY, *, origin: str = ORIGIN, by: SigningKey = LOG_KEY) -> Note:
    return sign(count_key_text(origin, key.verifier), [by])


@dataclass(frozen=True)
class MadeUpLog:
    """A log whose events belong to two dossiers, every third to DOSSIER."""

    size: int

    @cached_property
    def events(self) -> list[tuple[UUID, Logged]]:
        made, versions = [], {DOSSIER: 0, OTHER: 0}
        for position in range(1, self.size + 1):
            stream = OTHER if position % 3 else DOSSIER
            versions[stream] += 1
            made.append((stream, event(position, versions[stream])))
        return made

    @cached_property
    def nodes(self) -> Nodes:
        return nodes_of(b"".join(leaf_hash(one.entry(stream)) for stream, one in self.events))

    def of(self, stream: UUID) -> list[Logged]:
        return [one for other, one in self.events if other == stream]

    def checkpoint(self, *, witnesses: int = 2) -> Note:
        return checkpoint(self.size, root(self.size, self.nodes), witnesses=witnesses)

    def bundle(self, *, witnesses: int = 2) -> Bundle:
        return dossier_bundle(
            DOSSIER,
            self.of(DOSSIER),
            self.nodes,
            self.checkpoint(witnesses=witnesses),
            counting=COUNT_KEY,
            count_key=count_key(),
        )

    def proof(self, version: int = 1) -> TlogProof:
        return event_proof(DOSSIER, self.of(DOSSIER)[version - 1], self.nodes, self.checkpoint())


def event(position: int, version: int) -> Logged:
    content = {
        "type": "dossier.collected.v1",
        "key": f"k{position}",
        "level": 2,
        "occurred_at": "2024-12-09T08:00:00+07:00",
        "actor": "A12",
        "unit": "14758",
        "note": "c2VhbGVk",
    }
    state = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    recorded_at = datetime(2024, 12, 9, 16, 0, 0, 123456, UTC) + timedelta(seconds=position)
    return Logged(position, version, recorded_at, "dossier.collected.v1", state)
