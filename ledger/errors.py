"""Everything the ledger refuses to do, one class per reason.

LedgerError                     refused; nothing was recorded for it
├── InputError                  the report itself is wrong, whatever the ledger holds
│   ├── TypeUnknownError            unknown_type
│   ├── FieldMissingError           missing_field
│   ├── FieldInvalidError           invalid_field
│   ├── FieldUnknownError           unknown_column
│   ├── FieldRepeatedError          repeated_field
│   ├── CitizenInvalidError         invalid_citizen
│   ├── LevelInvalidError           invalid_level
│   ├── TimeInvalidError            invalid_time
│   ├── TimeWithoutOffsetError      time_without_offset
│   ├── TimeInFutureError           time_in_future
│   ├── PersonalNumberError         personal_number
│   ├── NulCharacterError           nul_character
│   ├── NotUtf8Error                not_utf8
│   ├── JsonInvalidError            invalid_json
│   ├── LineInvalidError            invalid_line
│   │   └── FieldsLackingError
│   ├── LineCutError                line_cut
│   ├── FileEmptyError              file_empty
│   ├── FileInvalidError            invalid_file
│   ├── PurposeUnknownError         unknown_purpose
│   └── BatchTooLargeError          too_many
├── UnitError                   the tree of units says no
│   ├── UnitUnknownError            unknown_unit
│   ├── UnitNotValidError           unit_not_valid
│   ├── UnitsMissingError           no_units
│   ├── UnitDiffersError            unit_differs
│   ├── UnitsRefusedError           units_refused
│   ├── ReorganisationUnknownError  unknown_reorganisation
│   └── AlreadyWithdrawnError       already_withdrawn
├── StateError                  the dossier is not where the report needs it; another report may mend that
│   ├── NotCollectedError           not_collected
│   ├── AlreadyCollectedError       already_collected
│   ├── AlreadyApprovedError        already_approved
│   ├── NotApprovedError            not_approved
│   ├── AlreadyActiveError          already_active
│   ├── AlreadyNotifiedError        already_notified
│   ├── NotActiveError              not_active
│   ├── AlreadyLockedError          already_locked
│   ├── NotLockedError              not_locked
│   ├── AccountLockedError          account_locked
│   ├── OutOfOrderError             out_of_order
│   ├── NotSplitError               not_split
│   ├── ErasedError                 erased
│   └── CorrectionError             what a correction is about does not stand as it needs it
│       ├── EntryUnknownError           unknown_entry
│       ├── AlreadyVoidedError          already_voided
│       ├── StillNeededError            still_needed
│       ├── IsCorrectionError           is_correction
│       ├── IsAllocationError           is_allocation
│       ├── NothingChangesError         nothing_changes
│       ├── NothingToConfirmError       nothing_to_confirm
│       └── SameOfficerError            same_officer
├── AccessError                 who asks may not do it
│   ├── NotPermittedError           not_permitted
│   └── NotYourselfError            not_yourself
├── PurposeNeededError          purpose_needed
├── NoEmbargoError              no_embargo
├── TargetsRefusedError         targets_refused
├── ReportNameTakenError        report_name_taken
├── KeyConflictError            key_conflict
│   └── KeyElsewhereError
├── NotRecordedError            not_recorded
├── NotFoundError               no such thing
│   ├── CitizenUnknownError         unknown_citizen
│   ├── DossierUnknownError         unknown_dossier
│   ├── ReportUnknownError          unknown_report
│   └── ApiKeyUnknownError          unknown_api_key
└── KeyFileError                the secret that finds and seals citizens
    ├── KeyFileMissingError         key_file_missing
    ├── KeyFileInvalidError         key_file_invalid
    ├── KeyNeededError              key_needed
    └── KeyFileWrongError           wrong_key_file

UnavailableError                not a refusal: the answer is not known; try again with the same keys
├── StoreUnavailableError           store_unavailable
├── StoreNotReadyError              store_not_ready
├── ClockBehindError                clock_behind
├── ContentionError                 contention
├── ReadNotRecordedError            read_not_recorded
├── ImportBrokenError               import_broken
└── ImportSpaceError                no_space

A code is a contract: programs branch on it and it never changes. The sentence
is for people, says what to do, and never holds a personal number.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from ledger.masking import shown


class LedgerError(Exception):
    """The ledger refused; nothing was recorded."""

    code: ClassVar[str] = "refused"
    faults: tuple[str, ...] = ()
    """Where several things are wrong with what was sent whole, a file say: each of them."""


class InputError(LedgerError):
    """The report is wrong in itself: sending it again unchanged can never succeed."""

    code = "invalid_input"


class TypeUnknownError(InputError):
    code = "unknown_type"


class FieldMissingError(InputError):
    code = "missing_field"

    def __init__(self, field: str, why: str = "") -> None:
        super().__init__(f"{field} is missing" + (f": {why}" if why else ""))
        self.field = field


class FieldInvalidError(InputError):
    code = "invalid_field"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


class FieldUnknownError(InputError):
    """A column or field that is not part of the import format."""

    code = "unknown_column"


class FieldRepeatedError(InputError):
    """A name stands twice in a JSON object. JSON leaves open which of the two values counts."""

    code = "repeated_field"


class CitizenInvalidError(InputError):
    """The citizen's number is not 12 digits. The sentence never repeats it."""

    code = "invalid_citizen"


class LevelInvalidError(InputError):
    code = "invalid_level"


class TimeInvalidError(InputError):
    code = "invalid_time"


class TimeWithoutOffsetError(InputError):
    code = "time_without_offset"


class TimeInFutureError(InputError):
    """The event is said to happen later than the ledger's clock allows."""

    code = "time_in_future"

    def __init__(self, occurred_at: datetime, now: datetime) -> None:
        super().__init__(
            f"occurred_at {occurred_at.isoformat()} is in the future: the ledger's clock says "
            f"{now.isoformat(timespec='seconds')}, and 5 minutes ahead is allowed; "
            "check the clock of the sending device"
        )
        self.occurred_at = occurred_at
        self.now = now


class PersonalNumberError(InputError):
    """A field other than citizen holds a 12-digit number."""

    code = "personal_number"

    def __init__(self, field: str) -> None:
        super().__init__(
            f"{field} holds a 12-digit number: only the field citizen may hold a personal number; take it out"
        )
        self.field = field


class NulCharacterError(InputError):
    code = "nul_character"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} holds a NUL character; take it out")
        self.field = field


class NotUtf8Error(InputError):
    code = "not_utf8"


class JsonInvalidError(InputError):
    code = "invalid_json"


class LineInvalidError(InputError):
    """A line that does not fit its file's header."""

    code = "invalid_line"


class FieldsLackingError(LineInvalidError):
    """A line with fewer fields than its file's header."""


class LineCutError(InputError):
    """A line ends before its last field: the file was cut on the way."""

    code = "line_cut"


class FileEmptyError(InputError):
    code = "file_empty"


class FileInvalidError(InputError):
    """The file cannot be read as the format it claims to be."""

    code = "invalid_file"

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class BatchTooLargeError(InputError):
    code = "too_many"


class PurposeUnknownError(InputError):
    """Nobody may look for this purpose. The sentence does not repeat it."""

    code = "unknown_purpose"

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(
            f"the purpose must be one of {', '.join(known)}; local is for the ledger's own machine alone"
        )


class PurposeNeededError(LedgerError):
    """Nothing is told of a dossier to whoever does not say what for."""

    code = "purpose_needed"

    def __init__(self) -> None:
        super().__init__("say what for: name a purpose of the list (ledger purposes, GET /v1/purposes)")


class NoEmbargoError(LedgerError):
    """There is no embargo to be lifted."""

    code = "no_embargo"

    def __init__(self, dossier_id: UUID) -> None:
        super().__init__(f"the dossier {dossier_id} is under no embargo")
        self.dossier_id = dossier_id


class UnitError(LedgerError):
    """The tree of units does not allow it."""

    code = "unit"


class UnitUnknownError(UnitError):
    """No unit ever had this code."""

    code = "unknown_unit"

    def __init__(self, unit: str) -> None:
        super().__init__(
            f"no unit ever had this code: {shown(unit)}; ledger units list shows the codes of a day"
        )
        self.unit = unit


class UnitNotValidError(UnitError):
    """A unit has or had this code, but not on the day in question."""

    code = "unit_not_valid"

    def __init__(self, unit: str, day: date, held_by: str) -> None:
        super().__init__(f"the code {unit} was not valid on {day.isoformat()}: {held_by}")
        self.unit = unit
        self.day = day


class UnitsMissingError(UnitError):
    """The ledger has no units yet, so that every report would be refused."""

    code = "no_units"

    def __init__(self) -> None:
        super().__init__("this ledger has no units yet: load them first, with ledger units load")


class UnitDiffersError(UnitError):
    """A code to be opened is already open as something else."""

    code = "unit_differs"


class UnitsRefusedError(UnitError):
    """A change of units was refused whole; everything that is wrong with it is named."""

    code = "units_refused"

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class ReorganisationUnknownError(UnitError):
    code = "unknown_reorganisation"

    def __init__(self, reorganisation: UUID) -> None:
        super().__init__(f"there is no reorganisation {reorganisation}; ledger units changes lists them")
        self.reorganisation = reorganisation


class AlreadyWithdrawnError(UnitError):
    """A reorganisation can be taken back once; made again, it is another one."""

    code = "already_withdrawn"

    def __init__(self, reorganisation: UUID, position: int) -> None:
        super().__init__(f"the reorganisation {reorganisation} was withdrawn at position {position} already")
        self.reorganisation = reorganisation
        self.position = position


class AccessError(LedgerError):
    """Whoever asks may not have it done. Nothing is told of what there is."""

    code = "access"


class NotPermittedError(AccessError):
    """No role of whoever asks gives the right to it, or none over the unit that it is about."""

    code = "not_permitted"


class NotYourselfError(AccessError):
    """An officer may report only what they have done themselves."""

    code = "not_yourself"

    def __init__(self, actor: str) -> None:
        super().__init__(f"you report as {actor}: name {actor} as the actor; others report for themselves")
        self.actor = actor


class TargetsRefusedError(LedgerError):
    """Targets or denominators were refused, all of them; everything that is wrong is named."""

    code = "targets_refused"

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class StateError(LedgerError):
    """The dossier is not in the state the report needs. Other reports, still on their way, may mend it."""

    code = "state"


class NotCollectedError(StateError):
    code = "not_collected"


class AlreadyCollectedError(StateError):
    code = "already_collected"


class AlreadyApprovedError(StateError):
    code = "already_approved"


class NotApprovedError(StateError):
    code = "not_approved"


class AlreadyActiveError(StateError):
    """The account of this level was activated before; only the first activation counts."""

    code = "already_active"


class AlreadyNotifiedError(StateError):
    """The citizen was told of this approval before; the first notice starts the clock."""

    code = "already_notified"


class NotActiveError(StateError):
    """The account is not activated, and the ground of the lock does not meet such a one."""

    code = "not_active"


class AlreadyLockedError(StateError):
    code = "already_locked"


class NotLockedError(StateError):
    code = "not_locked"


class AccountLockedError(StateError):
    """The account was locked before it was activated; first it is unlocked."""

    code = "account_locked"


class OutOfOrderError(StateError):
    """The event is said to happen before the last standing event of the same level."""

    code = "out_of_order"

    def __init__(self, occurred_at: datetime, last_type: str, last_at: datetime) -> None:
        super().__init__(
            f"occurred_at {occurred_at.isoformat()} is before the {last_type} event of "
            f"{last_at.isoformat()} that this level of the dossier already has"
        )
        self.occurred_at = occurred_at
        self.last_at = last_at


class NotSplitError(StateError):
    """Nothing of the level counts at a unit that was split with the named one among its parts."""

    code = "not_split"


class ErasedError(StateError):
    """The dossier's citizen was erased: it is nobody's, and stays as it is."""

    code = "erased"


class CorrectionError(StateError):
    """What a correction is about does not stand as the correction needs it."""

    code = "correction"


class EntryUnknownError(CorrectionError):
    """The dossier has no such entry, or none of that level."""

    code = "unknown_entry"


class AlreadyVoidedError(CorrectionError):
    code = "already_voided"


class StillNeededError(CorrectionError):
    """A later entry is lawful only with this one; the sentence names it."""

    code = "still_needed"


class IsCorrectionError(CorrectionError):
    """Only a step of the dossier's life can be reassigned or amended; a correction is voided."""

    code = "is_correction"


class IsAllocationError(CorrectionError):
    """Only a step of the dossier's life can be reassigned or amended; an allocation is voided, or another one made."""

    code = "is_allocation"


class NothingChangesError(CorrectionError):
    code = "nothing_changes"


class NothingToConfirmError(CorrectionError):
    code = "nothing_to_confirm"


class SameOfficerError(CorrectionError):
    """Whoever asked for a correction cannot confirm it."""

    code = "same_officer"


class KeyConflictError(LedgerError):
    """The key was used before in this dossier, for a report with other content."""

    code = "key_conflict"

    def __init__(self, key: str, version: int, fields: tuple[str, ...]) -> None:
        super().__init__(
            f"key {key} was used in this dossier for its event {version} with other content "
            f"({', '.join(fields)}); a retry must repeat the content, a new report needs a new key"
        )
        self.key = key
        self.version: int | None = version
        self.fields = fields


class KeyElsewhereError(KeyConflictError):
    """The key was used in this dossier by a report that whoever asks may not report; nothing of that one is told."""

    def __init__(self, key: str) -> None:
        LedgerError.__init__(
            self,
            f"the key {key} was used in this dossier by a report for which you may not report; send this one with a new key",
        )
        self.key, self.version, self.fields = key, None, ()


class NotRecordedError(LedgerError):
    """Nothing wrong with this report, but another one of its all-or-nothing batch was refused."""

    code = "not_recorded"


class NotFoundError(LedgerError):
    code = "not_found"


class CitizenUnknownError(NotFoundError):
    """The ledger has no dossier of this citizen. The sentence never repeats the number."""

    code = "unknown_citizen"

    def __init__(self) -> None:
        super().__init__("the ledger has no dossier of this citizen")


class DossierUnknownError(NotFoundError):
    code = "unknown_dossier"

    def __init__(self, dossier_id: UUID | str) -> None:
        super().__init__(f"no dossier {dossier_id}")
        self.dossier_id = dossier_id


class ReportUnknownError(NotFoundError):
    """No report was frozen under this name, or none that whoever asks may see."""

    code = "unknown_report"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"no report {shown(name)} was frozen, or none that you may see; ledger report list, or GET /v1/reports, names those "
            "that you may"
        )
        self.name = name


class ApiKeyUnknownError(NotFoundError):
    """No API key with this id was ever made."""

    code = "unknown_api_key"

    def __init__(self, key_id: str) -> None:
        super().__init__("there is no API key with this id; ledger token list names those that there are")
        self.key_id = key_id


class ReportNameTakenError(LedgerError):
    """A report was frozen under this name, and it is another one."""

    code = "report_name_taken"

    def __init__(self, name: str, position: int, differing: Sequence[str]) -> None:
        super().__init__(
            f"{name} is the name of a report that was frozen at position {position}, and differs in {', '.join(differing)}; "
            f"take another name. To repeat it, name its cut-off: position {position}"
        )
        self.name = name
        self.position = position
        self.differing = tuple(differing)


class KeyFileError(LedgerError):
    code = "key_file"


class KeyFileMissingError(KeyFileError):
    code = "key_file_missing"


class KeyFileInvalidError(KeyFileError):
    code = "key_file_invalid"


class KeyNeededError(KeyFileError):
    """A wrapping key cannot be retired, because citizens' keys are wrapped with it."""

    code = "key_needed"

    def __init__(self, number: int, citizens: int) -> None:
        super().__init__(
            f"{citizens:,} citizens need wrapping key {number}; run ledger key rotate, then retire it"
        )
        self.number, self.citizens = number, citizens


class KeyFileWrongError(KeyFileError):
    """The key file belongs to another ledger: with it every citizen would get a second dossier."""

    code = "wrong_key_file"


class UnavailableError(Exception):
    """The ledger cannot answer now. Whether a report was recorded is not known.

    Sending it again with the same key is always safe: what was recorded is
    answered as a duplicate.
    """

    code: ClassVar[str] = "unavailable"


class StoreUnavailableError(UnavailableError):
    """PostgreSQL cannot be reached, or went away in the middle."""

    code = "store_unavailable"


class StoreNotReadyError(UnavailableError):
    """The database is there, but not as this version of the ledger needs it."""

    code = "store_not_ready"


class ClockBehindError(UnavailableError):
    """The server's clock is more than 60 seconds behind the last recorded event."""

    code = "clock_behind"


class ContentionError(UnavailableError):
    """Other writers kept changing the same dossiers or units; nothing was recorded."""

    code = "contention"


class ReadNotRecordedError(UnavailableError):
    """It could not be recorded who looks, so nothing is told. Perhaps it was recorded all the same."""

    code = "read_not_recorded"


class ImportBrokenError(UnavailableError):
    """A process of an import ended unexpectedly; importing the file again records the rest."""

    code = "import_broken"


class ImportSpaceError(UnavailableError):
    """There is no room for the files that an import writes; what was recorded before stays."""

    code = "no_space"
