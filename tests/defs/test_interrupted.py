"""Ctrl-C during a run of this process is Ctrl-C for who called; any other failure is a run that failed."""

from __future__ import annotations

import os
import signal
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
def test_dbt_in_this_process_passes_it_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    monkeypatch.setattr("dbt.parser.manifest.ManifestLoader.load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dbt_from(Settings(home=tmp_path)).parse(tmp_path / "target")
