"""The reasons that reports may name."""

import msgspec

from api.cli.common import Context, command
from api.reasons import list_reasons
from ledger import read_reasons
from ledger.reasons import COLUMNS


@command("reasons")
def reasons(context: Context) -> None:
    """List the reasons that reports may name.

    A list of one's own begins with this: --format csv prints it as --reasons-file reads it.
    """
    answer = list_reasons(read_reasons(context.settings.reasons_file))
    if context.output.form == "json":
        context.output.document(answer)
        return
    rows = [msgspec.structs.asdict(reason) for reason in answer.rows]
    for row in rows:
        row["before_activation"] = "yes" if row["before_activation"] else ""
    context.output.rows(
        f"{len(rows)} reasons", COLUMNS, [[row[column] for column in COLUMNS] for row in rows]
    )
