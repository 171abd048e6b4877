"""The ledger's own PostgreSQL: no set-up, one directory, one server for every process that opens it.

    home/                  owned by whoever runs the ledger; key files live here too
        start.lock         flock: one process at a time starts, creates or stops
        password           0600, the one password of every role
        data               the cluster, or a link to it where the server's user cannot enter home
        run/               the unix socket, 0700
        start.log          what the server said before its own log (data/log) was open
        postgresql-*/      a copy of the binaries, only where the server's user cannot read them

PostgreSQL refuses to run as root, so for root the server runs as ``postgres`` or ``nobody``. Where that user
cannot enter home, all but key files, lock and password live in /var/lib/activation-ledger/<hash of home>.

    server.py       start, ask and stop it: EmbeddedPostgres
    cluster.py      what is made once: data, password; and the settings
    binaries.py     PostgreSQL's programs: found, chosen, copied to where the server's user can run them
    place.py        where the files are, whom they belong to, and the lock on them
    processes.py    run a program as another user, with nothing of our own
"""

from ledger.embedded.place import default_home
from ledger.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "default_home"]
