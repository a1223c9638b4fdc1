"""Ctrl-C during a run of this process is Ctrl-C for who called; any other failure is a run that failed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import duckdb
import pytest
from dbt.adapters.duckdb.environments.local import DuckDBConnectionWrapper, LocalEnvironment

from analytics_platform.defs.dbt_build import DbtBuild, duckdb_connection, interruptible_dbt, stop_at_once
from analytics_platform.defs.interrupted import raise_interrupt
from analytics_platform.defs.resources import dbt_from
from analytics_platform.settings import Settings

PROJECT = "{name: house, version: '1.0', profile: house}"
PROFILE = """
house:
  target: duckdb
  outputs: {duckdb: {type: duckdb, path: "{{ env_var('ANALYTICS_WAREHOUSE_PATH') }}", threads: 2}}
"""
MODEL_OF_MINUTES = """
{{{{ config(pre_hook="copy (select 1) to '{begun}'") }}}}
select count(*) as pairs from range(100000000) as one, range(10000) as other where one.range * other.range % 7 = 3
"""


def press() -> None:
    """Ctrl-C, by who works."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)


def fail() -> None:
    raise ValueError


def run_of(work: Callable[[], object]) -> dg.ExecuteInProcessResult:
    """A run whose only asset does that work."""

    @dg.asset
    def made() -> None:
        work()

    job = dg.Definitions([made], jobs=[dg.define_asset_job("making")]).resolve_job_def("making")
    return job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)


def test_an_interrupted_run_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        raise_interrupt(run_of(press))


@pytest.mark.parametrize(("work", "is_success"), [(fail, False), (list, True)])
def test_a_run_that_ended_by_itself_is_none(work: Callable[[], object], is_success: bool) -> None:
    result = run_of(work)
    raise_interrupt(result)
    assert result.success is is_success


@pytest.mark.usefixtures("interruptible")
def test_dbt_in_this_process_passes_it_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbt.parser.manifest.ManifestLoader.load", lambda *_, **__: press())
    with pytest.raises(KeyboardInterrupt):
        dbt_from(Settings(home=tmp_path)).parse(tmp_path / "target")


def dbt_of_minutes(folder: Path) -> DbtBuild:
    """dbt over a model that takes long, and makes the file `begun` before."""
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILE)
    (folder / "models" / "pairs.sql").write_text(MODEL_OF_MINUTES.format(begun=folder / "begun"))
    return DbtBuild(folder, duckdb_connection(folder / "warehouse.duckdb"), folder / "target")


@contextmanager
def interrupt_when_there(path: Path) -> Iterator[None]:
    """Interrupts this process as soon as there is such a file."""
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.01):
            if path.exists():
                os.kill(os.getpid(), signal.SIGINT)
                return

    looker = threading.Thread(target=look)
    looker.start()
    try:
        yield
    finally:
        is_over.set()
        looker.join()


@pytest.mark.parametrize(
    "run", [lambda work: raise_interrupt(run_of(work)), lambda work: work()], ids=["step", "alone"]
)
@pytest.mark.usefixtures("interruptible")
def test_it_ends_dbt_within_a_model_and_leaves_nothing_at_work(
    tmp_path: Path, run: Callable[[Callable[[], object]], None]
) -> None:
    dbt = dbt_of_minutes(tmp_path)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt), interrupt_when_there(tmp_path / "begun"):
        run(lambda: dbt.build(date.min, date.min))
    assert set(threading.enumerate()) == before
    duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True).close()


@pytest.mark.usefixtures("interruptible")
def test_dbt_that_ends_is_left_to_end_however_often_it_is_interrupted() -> None:
    steps = []

    @interruptible_dbt()
    def dbt() -> None:
        try:
            press()
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("threads have ended")

    with pytest.raises(KeyboardInterrupt):
        dbt()
    assert steps == ["threads have ended"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def connection_of(cursor: Any) -> Any:
    """A connection of dbt's, over one of DuckDB's."""
    return SimpleNamespace(handle=DuckDBConnectionWrapper(cursor, None))  # type: ignore[no-untyped-call]


def test_a_connection_of_dbt_that_is_stopped_between_two_statements_takes_no_more() -> None:
    stop_at_once()
    connection = connection_of(duckdb.connect())
    connection.handle.cursor().execute("begin")
    LocalEnvironment.cancel(connection)
    with pytest.raises(duckdb.InterruptException):
        connection.handle.cursor().execute("select 1")
    connection.handle.rollback()


def test_a_connection_of_dbt_that_was_closed_meanwhile_is_stopped() -> None:
    stop_at_once()
    cursor = duckdb.connect()
    cursor.close()
    LocalEnvironment.cancel(connection_of(cursor))
