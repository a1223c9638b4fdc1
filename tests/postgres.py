"""A temporary PostgreSQL server, for tests that want the real one.

Started as a user who is not root (which PostgreSQL refuses to be), on a socket in a folder of its own. Where there is
no server the test is skipped, or fails when REQUIRE_POSTGRES is 1.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

_USERS = ("postgres", "nobody")


@dataclass(frozen=True)
class PostgresServer:
    """A running server: the folder of its socket, which is its host, and its own control."""

    folder: str
    control: Callable[..., None]
    user: str = "tests"
    port: int = 5432

    @property
    def url(self) -> str:
        """SQLAlchemy's address of its first database."""
        return f"postgresql+psycopg://{self.user}@/postgres?host={self.folder}"

    def restart(self) -> None:
        """Break every connection off and come back."""
        self.control("-m", "immediate", "restart")

    def database(self, name: str) -> dict[str, object]:
        """Settings of an empty database for Dagster, made here."""
        with psycopg.connect(host=self.folder, user=self.user, dbname="postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return {
            "dagster_postgres_host": self.folder,
            "dagster_postgres_database": name,
            "dagster_postgres_user": self.user,
        }


@contextmanager
def postgres_server() -> Iterator[str]:
    """SQLAlchemy's address of an empty database; the server is gone afterwards."""
    with running_postgres() as server:
        yield server.url


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server of one's own; it is gone afterwards."""
    programs = _programs()
    # Not pytest's folder: a socket's path may have no more than about a hundred characters, and root owns that one.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        account = _account()
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        data = Path(folder, "data")
        _run(account, folder, programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "--no-sync", "-E", "UTF8")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        control = partial(_run, account, folder, programs / "pg_ctl", "-D", data, "-w", "-l", f"{folder}/log")
        control("-o", options, "start")
        try:
            yield PostgresServer(folder, control)
        finally:
            control("-m", "immediate", "stop")


def _programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    message = "no PostgreSQL server is installed (initdb, pg_ctl)"
    if os.environ.get("REQUIRE_POSTGRES") == "1":
        pytest.fail(message)
    pytest.skip(message)


def _account() -> pwd.struct_passwd | None:
    """The account to run as; None for one's own, unless that is root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in _USERS if name in known)


def _run(account: pwd.struct_passwd | None, folder: str, *command: object) -> None:
    switched = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # a pipe would stay open with the server
        stderr=subprocess.DEVNULL,
        check=False,
        **switched,  # type: ignore[call-overload]
    )
    if done.returncode:
        log = Path(folder, "log")
        raise RuntimeError(f"{command[0]} failed: {log.read_text() if log.exists() else 'no log'}")
