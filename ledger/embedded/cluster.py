"""What is made once and kept: the data and the one password; and the settings, written at every start."""

import os
import secrets
import shutil
import tempfile
from pathlib import Path

from ledger.embedded.place import Place
from ledger.errors import StoreNotReadyError

SHARED_BUFFERS_BYTES_MAX = 8 << 30
"""With 2 GB, a batch's citizens took twice as long to find among ten million events as among one."""

_SETTINGS = """\
# Written by the ledger at every start of the server: your own settings belong into ledger_user.conf.
cluster_name = 'activation-ledger'
listen_addresses = ''
port = 5432
unix_socket_directories = {socket_dir}
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'

fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = logical
# PostgreSQL's own compression takes 50 microseconds a page, and cannot shorten an index of hashes.
wal_compression = off
max_wal_size = 4GB
max_slot_wal_keep_size = 8GB
shared_buffers = {shared_buffers_kb}kB
jit = off
timezone = 'UTC'

logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_rotation_age = 1d
log_rotation_size = 20MB
log_truncate_on_rotation = on
log_timezone = 'UTC'
# Statements, their parameters and the DETAIL of an error may hold personal data.
log_statement = none
log_duration = off
log_lock_waits = off
log_min_duration_statement = -1
log_min_duration_sample = -1
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = terse

include_if_exists 'ledger_user.conf'
"""

_HBA = """\
local all         all scram-sha-256
local replication all scram-sha-256
"""


def create(place: Place, bin_dir: Path) -> None:
    """Make the data. It is there whole, with password and database, or not at all: it gets its name last.

    Only under the lock, and where there is none.

    Args:
        bin_dir: Programs that the server's user can run.

    Raises:
        StoreNotReadyError: There is data of this home, but the link to it is gone.
        StoreUnavailableError: A program failed; with the end of what it said.
    """
    place.refuse_second_cluster()
    _make_password(place)
    new = Path(tempfile.mkdtemp(prefix="data.new-", dir=place.directory))
    try:
        if user := place.server_user():
            os.chown(new, *user)
        _fill(place, new, bin_dir)
        new.rename(place.data_dir)
        _sync(place.directory)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(place: Place, new: Path, bin_dir: Path) -> None:
    # No login at all (reject) until the password is set: initdb reads one only from a file of its own.
    options = ["-A", "reject", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions"]
    place.as_server(bin_dir / "initdb", "-D", new, "-U", "postgres", "--no-sync", *options)
    # The statement holds the password: not into any log.
    strict = ["-c", "exit_on_error=on", "-c", "log_min_error_statement=panic"]
    statements = f"ALTER ROLE postgres PASSWORD '{password(place)}'\nCREATE DATABASE ledger\n"
    place.as_server(bin_dir / "postgres", "--single", "-D", new, *strict, "postgres", text=statements)
    place.write_as_server(new / "pg_hba.conf", _HBA)
    place.write_as_server(new / "ledger.conf", _settings(place))
    include = (new / "postgresql.conf").read_text(encoding="utf-8") + "include 'ledger.conf'\n"
    place.write_as_server(new / "postgresql.conf", include)
    # All of it is on the disk before it gets its name: a power cut shows no half cluster either.
    place.as_server(bin_dir / "initdb", "--sync-only", "-D", new)


def password(place: Place) -> str:
    """Return the one password of every role.

    Raises:
        StoreNotReadyError: There is none; says whether it was lost or is yet to be made.
    """
    place.refuse_strangers()
    try:
        return place.password_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        how_to_mend = "it is made by the first start"
        if place.has_data():
            how_to_mend = (
                f"the data in {place.data_dir} cannot be opened without it; restore it from the backup, or "
                "remove the data if the ledger is to begin anew"
            )
        raise StoreNotReadyError(f"{place.password_file} is missing: {how_to_mend}") from None


def _make_password(place: Place) -> None:
    if place.password_file.exists():
        return
    descriptor, new = tempfile.mkstemp(prefix="password.new-", dir=place.home)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(32))
        file.flush()
        os.fsync(file.fileno())
    Path(new).replace(place.password_file)
    _sync(place.home)


def write_settings(place: Place) -> None:
    """Write what a server of this place and program is to start with."""
    place.write_as_server(place.data_dir / "ledger.conf", _settings(place))


def _settings(place: Place) -> str:
    return _SETTINGS.format(
        socket_dir=_quote(_quote_name(str(place.socket_dir))),
        shared_buffers_kb=min(_memory_bytes() // 4, SHARED_BUFFERS_BYTES_MAX) // 1024,
    )


def _quote(text: str) -> str:
    """As a string of postgresql.conf, where a backslash escapes as well."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _quote_name(text: str) -> str:
    """As an element of a list of names."""
    return '"' + text.replace('"', '""') + '"'


def _memory_bytes() -> int:
    """The machine's memory, or the container's share of it."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return machine


def _sync(directory: Path) -> None:
    """Make a rename outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
