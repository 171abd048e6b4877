"""API keys: who may make and revoke them."""

from collections.abc import Sequence
from uuid import UUID

from ledger.access import Grant, Keys, Principal, Right, Role
from ledger.access.keys import Key
from ledger.application.base import LedgerBase
from ledger.key_ring import DAYS, KeyMade
from ledger.units import UnitTree


class KeepsKeys(LedgerBase):
    """API keys, for machines."""

    def keys(self) -> Keys:
        """Return all API keys that ever were made, as the ledger has them now."""
        return self._key_ring.keys()

    def create_key(
        self,
        roles: Sequence[Role],
        *,
        unit: str | None = None,
        name: str = "",
        days: int = DAYS,
        actor: str = "local",
        by: Principal | None = None,
    ) -> KeyMade:
        """Make an API key, for a machine; return it with its text, which nothing tells a second time.

        Args:
            roles: What it is, one or more.
            unit: Code of the unit, today, over which it is that, with everything under it; None: over the whole ledger. It
                is kept as the unit's id, so a later reorganisation gives the key no other unit.
            name: What it is for; one line.
            days: After so many it is no longer taken; at most what the policy allows.
            by: Who makes it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They do not operate that part of the ledger.
            InputError: There is no role; a text cannot be one; it would last too long.
            UnitError: No unit has the code today.
            UnavailableError: Not known whether it was recorded; if so, nobody has its text.
        """
        operator, today = self.asking(by, Right.OPERATE), self.today()

        def scope(tree: UnitTree) -> UUID | None:
            found = None if unit is None else tree.resolve(unit, today)
            self.check_asked(operator, Right.OPERATE, found, today, tree)
            return None if found is None else found.id

        return self._key_ring.create(roles, scope, name=name, days=days, actor=actor, now=self._now())

    def revoke_key(
        self, key_id: str, *, actor: str = "local", by: Principal | None = None
    ) -> tuple[Key, bool]:
        """Revoke an API key; return it, and whether that is new: once more records nothing.

        Args:
            by: Who revokes it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They do not operate all that the key gives a role over.
            ApiKeyUnknownError: There is no such key.
            UnavailableError: Not known whether it was recorded; repeat it.
        """
        operator, today = self.asking(by, Right.OPERATE), self.today()
        if None not in operator.parts(Right.OPERATE):
            key, tree = self.keys().by_id.get(key_id), self.tree()
            for grant in key.principal.grants if key else (Grant(Role.OPERATOR),):
                called = None if grant.unit_id is None else tree.called(grant.unit_id, today)
                self.check_asked(operator, Right.OPERATE, called, today, tree)
        return self._key_ring.revoke(key_id, actor=actor)
