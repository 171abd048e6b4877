"""Import a file of reports: dossier by dossier, each line once, none lost."""

from ledger.importing.run import LANES_MAX, ImportResult, import_file

__all__ = ["LANES_MAX", "ImportResult", "import_file"]
