"""Targets for every commune and district, so that progress can be asked for."""

from datetime import date
from decimal import Decimal

from ledger import DenominatorRow, Ledger, TargetRow

FROM, DEADLINE = date(2024, 10, 1), date(2024, 12, 31)


def set_targets(ledger: Ledger) -> None:
    """Give each commune some people and a share of them to reach, each district a number; once and for all."""
    communes, districts = (
        [unit.code for unit in ledger.units(on=FROM) if unit.level == level]
        for level in ("commune", "district")
    )
    people = [DenominatorRow(unit=code, value=1_500 + 37 * n % 3_000) for n, code in enumerate(communes)]
    ledger.set_denominators(people, name="eligible", from_day=FROM, source="made up")
    period = {"measure": "activated", "from_day": FROM, "deadline": DEADLINE}
    shares = [
        TargetRow(unit=code, level=2, percent=Decimal(30), denominator="eligible", **period)
        for code in communes
    ]
    numbers = [TargetRow(unit=code, number=10_000, **period) for code in districts]
    ledger.set_targets(shares + numbers, issuer="made up")
