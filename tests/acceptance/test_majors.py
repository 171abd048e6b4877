"""The whole way of a report on every PostgreSQL version of this machine, entered as no superuser.

All other tests run on one PostgreSQL, mostly the newest. Each other major version that has its server in
/usr/lib/postgresql is asked here what matters; that costs two seconds each.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import product
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from api.campaign import Campaign, simulate, write
from ledger import open_ledger
from ledger.application import migrate_ledger
from ledger.database import SUPPORTED_MAJORS, Database
from ledger.embedded import EmbeddedPostgres
from ledger.importing import import_file
from ledger.migrations import LOGS, connect, migrate, migrations_of
from ledger.privileges import compare, declare, read_catalogue
from projections import TotalsQuery, catch_up, open_totals, rebuild
from tests.conftest import COMPONENTS, FAST, Server, check_ledger, temporary_home
from tests.ledger.reports import CITIZEN, a_life

UNITS = 586
NEWEST = SUPPORTED_MAJORS[-1]
"""That of the wheel."""
CHANGES = ("UPDATE ledger.events SET state = ''", "DELETE FROM ledger.events", "TRUNCATE ledger.events")


class Version(NamedTuple):
    """A PostgreSQL of some major version, and its login ``keeper``, which may create roles."""

    major: int
    server: Server

    def create(self) -> str:
        """Make a database that the login may set a ledger up in; return how it is entered."""
        name = self.server.create()
        with psycopg.connect(self.server.conninfo(), autocommit=True) as superuser:
            superuser.execute(f"GRANT CREATE ON DATABASE {name} TO keeper")
        return make_conninfo(self.server.conninfo(name), user="keeper", password="x")


@pytest.fixture(scope="module", params=SUPPORTED_MAJORS)
def postgresql(request: pytest.FixtureRequest) -> Iterator[Version]:
    bin_dir = None if request.param == NEWEST else Path(f"/usr/lib/postgresql/{request.param}/bin")
    if bin_dir and not (bin_dir / "postgres").exists():
        pytest.skip(f"NOT TESTED: PostgreSQL {request.param}, there is no server in {bin_dir}")
    with temporary_home() as home:
        postgres = EmbeddedPostgres(home, bin_dir=bin_dir)
        postgres.start()
        settings = postgres.data_dir / "ledger_user.conf"
        settings.write_text(FAST)
        settings.chmod(0o644)
        server = Server(postgres.conninfo(dbname="postgres"), embedded=False)
        with psycopg.connect(server.conninfo(), autocommit=True) as superuser:
            superuser.execute("SELECT pg_reload_conf()")
            superuser.execute("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'x'")
            assert request.param == superuser.info.server_version // 10_000
        yield Version(request.param, server)


def test_the_whole_way_of_a_report(postgresql, tmp_path):
    """Set up, load units, record, import, count, tell, rebuild; and nobody changes what was recorded."""
    url, key_path = postgresql.create(), tmp_path / "ledger.key"
    database = Database(url, "ledger")
    assert "log 0001_log" == migrate_ledger(database, key_path, COMPONENTS)[0]
    assert [] == migrate_ledger(database, key_path, COMPONENTS)
    declared = declare(database, COMPONENTS)
    with connect(url) as connection:
        assert [] == compare(declared, read_catalogue(connection, declared))
    campaign = write(simulate(Campaign(dossiers=100, seed=1)), tmp_path / "made-up.csv")
    length = UNITS + 3 + campaign.rows

    with open_ledger(url, key_file=key_path) as ledger:
        ledger.load_units("units_2024.csv", valid_from=date(2021, 1, 1))
        assert [UNITS + 1, UNITS + 2, UNITS + 3] == [r.position for r in ledger.record_many(a_life())]
        for expected in ((campaign.rows, 0, 0), (0, campaign.rows, 0)):
            with (tmp_path / "made-up.csv").open("rb") as file:
                result = import_file(ledger, file, refused_path=tmp_path / "refused.csv")
            assert expected == (result.recorded, result.duplicates, result.refused)
        check_ledger(ledger, length=length)
        events = ledger.history(citizen=CITIZEN).events
        assert ["collected", "approved", "activated"] == [event.type for event in events]

        totals = open_totals(ledger)
        queries = [TotalsQuery(unit="38", by=by) for by in ("unit", "day", "shift")]
        assert length == catch_up(database)
        before = [totals.read(query) for query in queries]
        for measure, answer in product(("collected", "approved", "activated"), before):
            assert campaign.by_type[measure] + 1 == answer.sum[measure]
        assert length == rebuild(database)
        assert before == [totals.read(query) for query in queries]

        for statement, conninfo in product(CHANGES, (database.as_writer(), database.as_projector())):
            with pytest.raises(errors.InsufficientPrivilege), psycopg.connect(conninfo) as connection:
                connection.execute(statement)
        # Whoever set it up is a member of the owner, and has its rights: the triggers stop that hand.
        for statement in CHANGES:
            with pytest.raises(psycopg.DatabaseError) as caught, psycopg.connect(url) as connection:
                connection.execute(statement)
            assert "AL003" == caught.value.sqlstate
        check_ledger(ledger, length=length)


def test_databases_are_set_up_at_once(postgresql):
    """Their roles are one: whether they are to be made, or are there and the login is to become a member."""
    urls = [postgresql.create() for _ in range(6)]
    with psycopg.connect(postgresql.server.conninfo(), autocommit=True) as superuser:
        for role in ("owner", "writer", "projector"):
            superuser.execute(f"CREATE ROLE there_{role}")
            if postgresql.major >= 16:
                superuser.execute(f"GRANT there_{role} TO keeper WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    together = Barrier(len(urls))

    def set_up(url: str, schema: str) -> list[str]:
        together.wait()
        return migrate(Database(url, schema))

    made = [f"{log.name} {migration.name}" for log in LOGS for migration in migrations_of(log)]
    with ThreadPoolExecutor(len(urls)) as pool:
        for schema in ("new", "there"):
            applied = list(pool.map(set_up, urls, [schema] * len(urls)))
            assert [made] * len(urls) == applied
