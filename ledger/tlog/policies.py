"""Who must have signed a checkpoint, as C2SP tlog-policy (22 June 2026) says: logs, witnesses, groups and the quorum."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.tlog import decimal_text
from ledger.tlog.checkpoints import Checkpoint
from ledger.tlog.errors import LogUnknownError, PolicyError, QuorumMissingError, UnsignedError
from ledger.tlog.keys import Kind, VerifierKey
from ledger.tlog.notes import Note, Signed, signers

NONE = "none"
POLICY_BYTES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Log:
    key: VerifierKey
    """Its name is the log's origin."""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    name: str
    """As the policy calls it; the key may have another name."""
    key: VerifierKey
    url: str | None = None
    """Where checkpoints are submitted to it."""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    least: int
    """So many of the members, at least."""
    members: tuple[str, ...]
    """Witnesses, and groups defined before this one."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A checkpoint that a policy holds to be valid, and who says so."""

    checkpoint: Checkpoint
    note: Note
    logs: tuple[VerifierKey, ...]
    """The keys by which the log signed: several while one replaces another."""
    witnesses: dict[str, Signed]
    """Who of the policy's witnesses has co-signed, by the policy's names; perhaps more than the quorum needs."""


@dataclass(frozen=True, slots=True)
class Policy:
    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    """In the order of the file, so that each stands after its members."""
    quorum: str
    """A witness, a group, or NONE."""

    def is_quorum(self, names: set[str]) -> bool:
        """Whether these witnesses are enough, by the policy's names."""
        witnessed = {NONE, *names}
        for group in self.groups:
            if len(witnessed.intersection(group.members)) >= group.least:
                witnessed.add(group.name)
        return self.quorum in witnessed

    def accept(self, data: bytes) -> Accepted:
        """Return the checkpoint that a note holds, if a log of the policy and enough witnesses have signed it.

        Raises:
            NoteError: It is malformed; SignatureFalseError, UnsignedError.
            CheckpointError: It is no checkpoint.
            LogUnknownError: Its origin is none of the policy's logs.
            QuorumMissingError: The log has signed, too few witnesses have.
        """
        note = Note.from_bytes(data)
        checkpoint = Checkpoint.from_text(note.text)
        logs = [log.key for log in self.logs if log.key.name == checkpoint.origin]
        if not logs:
            raise LogUnknownError("no log of the policy has the origin of this checkpoint")
        signed = signers(note, [*logs, *(witness.key for witness in self.witnesses)])
        by_key = {one.key: one for one in signed}
        if not by_key.keys() & set(logs):
            raise UnsignedError("the log has not signed this checkpoint by a key of the policy")
        witnesses = {one.name: by_key[one.key] for one in self.witnesses if one.key in by_key}
        if not self.is_quorum(set(witnesses)):
            raise QuorumMissingError(
                f"{len(witnesses)} of the policy's {len(self.witnesses)} witnesses have co-signed, which is not enough"
            )
        return Accepted(checkpoint, note, tuple(key for key in by_key if key in logs), witnesses)


def read_policy(data: bytes) -> Policy:
    """Read a policy file. Names are octets: two are the same if their bytes are. The last line may lack its end.

    Raises:
        PolicyError: It is malformed; the sentence names the line.
    """
    if len(data) > POLICY_BYTES_MAX:
        raise PolicyError(f"a policy of more than {POLICY_BYTES_MAX:,} bytes is not read")
    if any((octet < 0x20 and octet not in b"\t\n") or octet == 0x7F for octet in data):
        raise PolicyError("a policy has no control characters but tabs and ends of lines")
    draft = _Draft([], [], [], [])
    for number, line in enumerate(data.decode(errors="surrogateescape").split("\n"), 1):
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            draft.add(words)
        except ValueError as error:
            raise PolicyError(f"line {number} of the policy: {error}") from None
    if len(draft.quorum) != 1:
        raise PolicyError("a policy has exactly one line that begins with quorum")
    return Policy(tuple(draft.logs), tuple(draft.witnesses), tuple(draft.groups), draft.quorum[0])


@dataclass(frozen=True, slots=True)
class _Draft:
    """A policy while it is read."""

    logs: list[Log]
    witnesses: list[Witness]
    groups: list[Group]
    quorum: list[str]

    def add(self, words: Sequence[str]) -> None:
        """Take one line.

        Raises:
            ValueError: It cannot be one of a policy after those before it.
        """
        match words:
            case ["log", key, *url] if len(url) < 2:
                self.logs.append(Log(self._new_key(key, Kind.NOTE), *url))
            case ["witness", name, key, *url] if len(url) < 2:
                self._check_new(name)
                self.witnesses.append(Witness(name, self._new_key(key, Kind.COSIGNATURE), *url))
            case ["group", name, least, *members] if members:
                self._check_new(name)
                self._check_members(members)
                self.groups.append(Group(name, _least(least, len(members)), tuple(members)))
            case ["quorum", name]:
                if name != NONE:
                    self._check_defined(name)
                self.quorum.append(name)
            case _:
                raise PolicyError("a line is log, witness, group or quorum, each with what belongs to it")

    def _new_key(self, text: str, kind: Kind) -> VerifierKey:
        try:
            key = VerifierKey.from_text(text)
        except UnicodeEncodeError:
            raise PolicyError("the name of a key is UTF-8") from None
        if key.kind is not kind:
            raise PolicyError(
                "a log signs notes (0x01), a witness co-signs (0x04); the key is of the other kind"
            )
        # A log may be a witness too, by the same key; two keys that signatures cannot tell apart there are not.
        known = [*(log.key for log in self.logs), *(witness.key for witness in self.witnesses)]
        if any(key.id == other.id or (key.kind, key.public) == (other.kind, other.public) for other in known):
            raise PolicyError("the key is there already")
        return key

    def _names(self) -> set[str]:
        return {*(witness.name for witness in self.witnesses), *(group.name for group in self.groups)}

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self._names():
            raise PolicyError("the name is taken")

    def _check_defined(self, name: str) -> None:
        if name not in self._names():
            raise PolicyError("a name is that of no witness or group on a line before")

    def _check_members(self, members: Sequence[str]) -> None:
        taken = {member for group in self.groups for member in group.members}
        for member in members:
            self._check_defined(member)
            if member in taken:
                raise PolicyError("a witness or group is a member once, of one group")
            taken.add(member)


def _least(text: str, members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else members
    least = decimal_text.read(text)
    if not 1 <= least <= members:
        raise PolicyError(f"of {members} members, 1 to {members} can be needed")
    return least
