"""A PostgreSQL server of a test run: in a temporary directory, over a unix socket alone, not safe on disk."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from sqlalchemy import create_engine, make_url

#: Everything in one statement: tests change a row or two of some tables, and TRUNCATE is slower than DELETE then.
_EMPTY = """
DO $$ DECLARE one record; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE 'DELETE FROM ' || quote_ident(one.tablename);
    END LOOP;
END $$
"""


class Server:
    """Runs as `postgres` where the tests are root, which the server refuses to be."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pogo-pg-"))
        (self.directory / "pid").write_text(str(os.getpid()))  # bin/test clears away what a killed run has left
        self.programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.identity: tuple[str, ...] = ()
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            self.identity = ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups")
        self._run(
            *("initdb", "-D", "data", "-U", "pogo", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync")
        )
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self.identity, str(self.programs / program), *arguments]
        done = subprocess.run(
            command, cwd=self.directory, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.directory)}

    def start(self) -> None:
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self.directory} -c fsync=off -c full_page_writes=off"
            " -c autovacuum=off -c shared_buffers=16MB -c max_connections=200"
        )
        self._run("pg_ctl", "-s", "-w", "-D", "data", "-l", "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-s", "-w", "-D", "data", "-m", mode, "stop")

    def remove(self) -> None:
        pid = self.directory / "data" / "postmaster.pid"
        if pid.exists():
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://pogo@/{database}?host={self.directory}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        engine = create_engine(
            self.url(database).replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def database(self, options: str = "") -> str:
        """URL of a new, empty database. options: of CREATE DATABASE."""
        name = f"t{uuid.uuid4().hex[:10]}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def empty(self, url: str) -> None:
        """Delete all rows, after ending whoever is still connected."""
        name = make_url(url).database
        self.disconnect(name or "")
        self.execute(_EMPTY, database=name)

    def disconnect(self, database: str) -> None:
        """End everybody's connections to it."""
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        self.execute(f"{end} WHERE datname = '{database}' AND pid <> pg_backend_pid()")
