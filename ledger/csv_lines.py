"""A CSV file of an operator's, line by line."""

import csv
import io

from ledger.errors import FileInvalidError


def csv_lines(text: str) -> list[tuple[int, list[str]]]:
    """Return the lines that are not empty, the header among them: the number of each, and its fields without blanks around.

    Raises:
        FileInvalidError: A quote is not closed, say.
    """
    # Spreadsheets begin a file with a byte order mark.
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        return [(reader.line_num, [field.strip() for field in row]) for row in reader if row]
    except csv.Error as error:
        raise FileInvalidError(f"line {reader.line_num}: {error}") from None
