"""What every subject of the ledger needs: its open parts, who asks, the tree of units, the clock."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import msgspec
import uuid_utils.compat

from ledger.access import LOCAL, Principal, Reach, Right
from ledger.access.asking import check_everything, check_right, check_unit
from ledger.business_time import business_day
from ledger.database import Database
from ledger.errors import KeyFileWrongError
from ledger.events import Recorded
from ledger.identities import Identities
from ledger.key_ring import KeyRing
from ledger.reads import Reads
from ledger.recording import DEFAULT_POLICY, Policy
from ledger.store import LedgerDatastore, LedgerRecorder, translated
from ledger.targets import Targets
from ledger.unit_events import UNITS_STREAM, UnitEvent
from ledger.units import Unit, UnitTree, grow


def utc_now() -> datetime:
    return datetime.now(UTC)


class Opening(msgspec.Struct, frozen=True):
    """How a ledger was opened, so that another process can open the same."""

    url: str | None
    home: Path
    schema: str
    key_file: Path | None
    policy: Policy = DEFAULT_POLICY
    principal: Principal = LOCAL
    """For whom it does what is asked of it, where nobody else is named."""

    def __repr__(self) -> str:
        # The default would print the URL, which may hold a password.
        return f"Opening(home={str(self.home)!r}, schema={self.schema!r})"


class LedgerBase:
    """The open parts, who asks, the tree of units and the clock; safe to share between threads."""

    def __init__(
        self,
        database: Database,
        identities: Identities,
        *,
        policy: Policy = DEFAULT_POLICY,
        now: Callable[[], datetime] = utc_now,
        new_id: Callable[[], UUID] = uuid_utils.compat.uuid7,
        opening: Opening | None = None,
        principal: Principal = LOCAL,
    ) -> None:
        """Connect nothing yet; ``open_ledger`` checks the database and the key file first.

        Args:
            policy: The reasons that reports may name, whether corrections need four eyes, and what anybody may look for.
            now: The clock that says what is in the future, with an offset.
            new_id: Ids of new dossiers and units. Time-ordered ones keep an index's hot end
                small: random ids cost 30 % of the speed at six million events.
            opening: How ``open_ledger`` opened it.
            principal: For whom it does what is asked of it, where nobody else is named.
        """
        self.database = database
        self.policy = policy
        self.principal = principal
        """For whom it does what is asked of it, where nobody else is named."""
        self.opening = opening
        """How another process can open it; None for one that was given its parts by hand, a clock say."""
        self.recorder = LedgerRecorder(LedgerDatastore(database.as_writer(), schema=database.schema))
        """eventsourcing's interface to the log: for its followers, repositories and notification logs."""
        self.reads = Reads(database)
        """The second log: nothing of a dossier is told before it says who looks."""
        self._identities = identities
        self._now = now
        self._new_id = new_id
        self._tree = UnitTree()
        self._reach = Reach(self._tree)
        self._targets = Targets()
        self._known_lock = threading.Lock()
        """Of whoever puts a later tree, or later targets, in the place of those that are known."""
        self._key_ring = KeyRing(self.recorder, self.tree, policy.key_days_max)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections. An embedded server goes on; ``ledger stop`` ends it."""
        self.recorder.datastore.close()
        self.reads.close()

    def check_key(self, key_path: Path) -> None:
        """Raise KeyFileWrongError unless the key file is this ledger's; the first one becomes its own."""
        check = self._identities.check()
        with translated():
            if self.recorder.claim_key(check) != check:
                raise KeyFileWrongError(
                    f"the key file {key_path} is not the one of {self.database.describe()}: with it every citizen "
                    "would get a second dossier; name the right one with LEDGER_KEY_FILE or --key-file"
                )

    def mark(self, told: bytes) -> bytes:
        """Return 32 bytes by which the ledger knows again what it has told, and which nobody without its key can make."""
        return self._identities.mark(told)

    def asking(self, by: Principal | None, *rights: Right) -> Principal:
        """Return for whom something is asked: *by*, or the ledger's own principal where that is None.

        Raises:
            NotPermittedError: They hold none of the rights over any part of the tree.
        """
        found = self.principal if by is None else by
        check_right(found, *rights)
        return found

    def check_asked(
        self, by: Principal, right: Right, unit: Unit | None, day: date, tree: UnitTree | None = None
    ) -> None:
        """Raise NotPermittedError unless somebody holds a right over a unit of a day's tree; None: the whole ledger."""
        check_unit(by, right, self.reach(tree or self.tree()), unit, day)

    def reach(self, tree: UnitTree) -> Reach:
        """Return what counts under which units, by a version of the tree."""
        known = self._reach
        if known.tree is not tree:
            self._reach = known = Reach(tree)
        return known

    def check_following(self, by: Principal | None) -> None:
        """Raise NotPermittedError unless somebody, or the ledger's own principal, may read the whole log."""
        check_everything(self.asking(by, Right.FOLLOW), Right.FOLLOW, self._tree, self.today())

    def check_operating(self, by: Principal | None) -> None:
        """Raise NotPermittedError unless somebody, or the ledger's own principal, operates the whole ledger."""
        check_everything(self.asking(by, Right.OPERATE), Right.OPERATE, self._tree, self.today())

    def tree(self) -> UnitTree:
        """Return all units as the ledger has them now."""
        known = self._tree
        with translated():
            entries = self.recorder.read_stream(UNITS_STREAM, after=known.version)
        if not entries:
            return known
        # Threads may race here, so each grows the tree that it read on from; the latest version is kept.
        grown = grow(known, [(entry.position, _unit_event(entry)) for entry in entries])
        with self._known_lock:
            self._tree = max(self._tree, grown, key=_version)
            return self._tree

    def now(self) -> datetime:
        """Return what the ledger's clock says, with an offset."""
        return self._now()

    def today(self) -> date:
        """Return the business day (Asia/Ho_Chi_Minh) of the ledger's clock."""
        return business_day(self._now())


def _unit_event(entry: Recorded) -> UnitEvent:
    assert isinstance(entry.event, UnitEvent), entry.position
    return entry.event


def _version(tree: UnitTree) -> int:
    return tree.version
