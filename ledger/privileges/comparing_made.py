"""Where functions and the logs' tables are not what the migrations make. Pure."""

from collections.abc import Iterator

from ledger.privileges.naming import called, granted, quoted
from ledger.privileges.state import Deviation, Part, State

_NO_MEND = "nothing; restore a backup"


def compare_made(declared: State, found: State) -> Iterator[Deviation]:
    """Yield what is missing, what is another one, and what is unknown; functions that are unknown or missing are told as such."""
    for part, text in sorted(declared.made.items()):
        if part.thing in found.owners and found.made.get(part) != text:
            yield _differs(part, text, found.made.get(part))
    compared = {part.thing for part in declared.made}
    for part in sorted(found.made.keys() - declared.made.keys()):
        if part.thing in compared:
            yield _unknown(part)


def _differs(part: Part, text: str, there: str | None) -> Deviation:
    table, name = granted(part.thing), quoted(part.name)
    what = f"the {part.kind} {part.name} of the {called(part.thing)}"
    match part.kind:
        case "function":
            return Deviation(f"the {called(part.thing)} is not the one that the migrations make", text)
        case "column":
            mend = _NO_MEND
            if there is not None and text == f"{there} NOT NULL":
                mend = f"ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL"
            return Deviation(_sentence(what, text, there), mend)
        case "constraint":
            mend = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} {text}"
            return Deviation(_sentence(what, text, there), mend)
        case _:
            return Deviation(_sentence(what, text, there), f"DROP INDEX IF EXISTS {_index(part)}; {text}")


def _sentence(what: str, text: str, there: str | None) -> str:
    return f"{what} is missing: {text}" if there is None else f"{what} is {there}, not {text}"


def _unknown(part: Part) -> Deviation:
    mend = f"ALTER TABLE {granted(part.thing)} DROP {part.kind.upper()} {quoted(part.name)}"
    if part.kind == "index":
        mend = f"DROP INDEX {_index(part)}"
    return Deviation(
        f"the {called(part.thing)} has the {part.kind} {part.name}, which the ledger does not know", mend
    )


def _index(part: Part) -> str:
    return f"{quoted(part.thing.schema)}.{quoted(part.name)}"
