"""Ctrl-C during a run of this process is Ctrl-C for who called; any other failure is a run that failed."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from analytics_platform.defs.interrupted import raise_interrupt
from analytics_platform.defs.resources import dbt_from
from analytics_platform.settings import Settings


def run_of(what: str) -> dg.ExecuteInProcessResult:
    """A run whose only asset does that."""

    @dg.asset
    def made() -> None:
        if what == "interrupted":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        if what == "failed":
            raise ValueError(what)

    job = dg.Definitions([made], jobs=[dg.define_asset_job("making")]).resolve_job_def("making")
    return job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)


def test_an_interrupted_run_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        raise_interrupt(run_of("interrupted"))


@pytest.mark.parametrize("what", ["failed", "made"])
def test_a_run_that_ended_by_itself_is_none(what: str) -> None:
    result = run_of(what)
    raise_interrupt(result)
    assert result.success is (what == "made")


@pytest.mark.usefixtures("interruptible")
def test_dbt_in_this_process_passes_it_on(tmp_path: Path) -> None:
    importlib.import_module("dbt.cli.main")  # the signal is for dbt at work, not for its import
    dbt = dbt_from(Settings(home=tmp_path))
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        dbt.parse(tmp_path / "target")
