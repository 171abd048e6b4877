"""One unit's target, split over the units below it."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from ledger.access import Principal, Right
from ledger.application.targets import KeepsTargets, TargetsRecorded
from ledger.target_events import TargetEvent
from ledger.targets import Cascade, Targets, cascade, decide_targets
from ledger.units import UnitTree


class CascadesTargets(KeepsTargets):
    """Targets made of other targets."""

    def cascade_target(
        self,
        unit: str,
        *,
        to_level: str,
        denominator: str,
        issuer: str,
        parts_issuer: str | None = None,
        target_id: UUID | None = None,
        basis: str = "",
        actor: str = "local",
        dry_run: bool = False,
        by: Principal | None = None,
    ) -> tuple[Cascade, TargetsRecorded]:
        """Split a unit's target over the units below it, in proportion to a denominator; the parts add up to it.

        Args:
            unit: Its code on the target's first day.
            to_level: commune, say.
            denominator: Its name. Units of which it is not available get no part, and are told.
            issuer: Whose target it is.
            parts_issuer: Whose the parts are; the same if absent.
            target_id: Which target, where the issuer has set several.
            dry_run: Decide and tell, but record nothing.
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not set targets of the unit.
            InputError: One of the texts cannot be one.
            TargetsRefusedError: There is no such target, nothing to split it by, or a part's unit has a target already.
        """
        cascades: list[Cascade] = []
        keeper = self.asking(by, Right.KEEP)

        def decide(tree: UnitTree, targets: Targets) -> Sequence[TargetEvent]:
            found = cascade(
                tree, targets, unit, to_level=to_level, by=denominator, issuer=issuer, target_id=target_id
            )
            day = found.target.from_day
            self.check_asked(keeper, Right.KEEP, tree.called(found.target.unit_id, day), day, tree)
            cascades.append(found)
            return decide_targets(
                tree,
                targets,
                found.rows,
                issuer=parts_issuer or issuer,
                basis=basis,
                actor=actor,
                new_id=self._new_id,
                part_of=found.target.id,
            )

        recorded = self._record_targets(decide, 0, (), keeper, dry_run=dry_run)
        found = cascades[-1]
        return found, msgspec.structs.replace(
            recorded,
            unchanged=len(found.rows) - recorded.recorded,
            not_available=tuple(one.code for one in found.without),
        )
