"""What must not quietly become dearer, counted: `python -m benchmarks.guard`, and `--write` to renew the limits.

Seconds differ from machine to machine and hour to hour; calls of functions, statements, modules and bytes do not, given
the lock's versions and the same seeds. So these can fail a build where a clock could not. Everything is counted in one
fresh process with a fixed hash seed, after a first round that fills caches. `guard.yaml` holds what was counted when
somebody last looked, and how much more is borne: more than a tenth more calls is a loop or a check too many, while a
dependency's release moves the figures by a few hundredths.

Belongs here: small, steady counts of what is done a million times a day. Stays out: whatever needs a clock
(the other benchmarks).
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import yaml

LIMITS = Path(__file__).with_suffix(".yaml")
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "DAGSTER_DISABLE_TELEMETRY": "yes", "DAGSTER_EVENT_BATCH_SIZE": "500"}
_MESSAGES = 400
_DAYS = 5
_PAGE_DAYS = 60


@dataclass
class Tally:
    """Calls of functions, Python's and C's."""

    calls: int = 0


@contextmanager
def tallied() -> Iterator[Tally]:
    """Count calls of this thread while no garbage is collected, which would call what it likes when it likes."""
    tally = Tally()

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            tally.calls += 1

    gc.disable()
    sys.setprofile(note)
    try:
        yield tally
    finally:
        sys.setprofile(None)
        gc.enable()


@contextmanager
def statements() -> Iterator[list[str]]:
    """Filled with what SQLAlchemy sends and commits."""
    import sqlalchemy as db

    said: list[str] = []

    def send(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    def commit(_connection: object) -> None:
        said.append("commit")

    listened: list[tuple[str, Any]] = [("before_cursor_execute", send), ("commit", commit)]
    for name, listener in listened:
        db.event.listen(db.engine.Engine, name, listener)
    try:
        yield said
    finally:
        for name, listener in listened:
            db.event.remove(db.engine.Engine, name, listener)


def modules_of(name: str) -> int:
    """Modules that importing one brings; run before anything else has brought them."""
    before = set(sys.modules)
    __import__(name)
    return len(set(sys.modules) - before)


def graph() -> dict[str, float]:
    """What loading the graph takes, and how many steps its jobs have: Dagster spends its time by the step."""
    modules = modules_of("analytics_platform.definitions")
    unwanted = [name for name in ("great_expectations", "matplotlib", "pandas", "scipy.stats") if name in sys.modules]
    from analytics_platform.definitions import build_definitions
    from analytics_platform.defs import jobs
    from analytics_platform.settings import Settings

    settings = Settings(home=Path(os.devnull))
    build_definitions(settings)
    with tallied() as tally:
        definitions = build_definitions(settings)
    counted: dict[str, float] = {
        "modules of the graph": modules,
        "slow modules of the graph": len(unwanted),
        "calls to build the graph": tally.calls,
    }
    for job in (jobs.INGEST, jobs.LOAD, jobs.BUILD, jobs.PUBLISH):
        counted[f"steps of {job}"] = len(definitions.resolve_job_def(job).nodes)
    return counted


def ingest() -> dict[str, float]:
    """From a file to raw: calls per message of import and of the raw build, and objects that are put."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("warm", "counted"):
            (folder / each).mkdir()
            imported, built, partitions, objects = _ingested(folder / each)
    return {
        "calls to import a message": imported.calls / _MESSAGES,
        "calls to build a raw partition": built.calls / partitions,
        "objects put to build a raw partition": objects / partitions,
    }


def _ingested(folder: Path) -> tuple[Tally, Tally, int, int]:
    from analytics_platform.catalog import load_catalog
    from analytics_platform.identities.keys import IdentityKeys
    from analytics_platform.identities.table import IdentitiesTable
    from analytics_platform.intake.importer import import_paths
    from analytics_platform.lake.changes import landed_partitions
    from analytics_platform.lake.layout import EMPTY_PREFIX, IDENTITIES_PREFIX, RAW_PREFIX
    from analytics_platform.lake.raw import build_partitions
    from analytics_platform.lake.store import LocalStore
    from benchmarks.messages import write_file

    catalog, keys, store = load_catalog(), IdentityKeys(folder / "identity_keys.json"), LocalStore(folder / "lake")
    write_file(folder / "messages.zst", catalog, events=_MESSAGES, days=_DAYS)
    with tallied() as imported:
        import_paths([folder / "messages.zst"], catalog=catalog, store=store, identities=keys)
    partitions = landed_partitions(store)
    take = IdentitiesTable(store, keys).take
    with tallied() as built:
        made = build_partitions(store, streams=list(catalog.streams), partitions=partitions, identifiers=take)
    objects = sum(len(store.list(prefix)) for prefix in (RAW_PREFIX, EMPTY_PREFIX, IDENTITIES_PREFIX))
    return imported, built, len(made), objects


def event_log() -> dict[str, float]:
    """A run over fifty days of two assets: statements and commits, calls and rows, per (asset, partition)."""
    import dagster as dg

    from analytics_platform.defs.instance import open_instance
    from analytics_platform.defs.partitions import range_tags
    from analytics_platform.settings import Settings
    from benchmarks.event_log import QUIET, idle_assets

    def run(instance: dg.DagsterInstance, last: date) -> str:
        tags = range_tags("2025-01-01", last.isoformat())
        return dg.materialize([idle_assets(2)], instance=instance, tags=tags, run_config=QUIET).run_id

    with TemporaryDirectory() as name, open_instance(Settings(home=Path(name))) as instance:
        run(instance, date(2025, 1, 1))
        with statements() as of_one:
            one = run(instance, date(2025, 1, 1))
        with statements() as of_fifty, tallied() as tally:
            fifty = run(instance, date(2025, 2, 19))
        rows = len(instance.all_logs(fifty)) - len(instance.all_logs(one))
    return {
        "rows of the event log a partition": rows / (49 * 2),
        "statements of a run of one day": len(of_one),
        "statements of a run of fifty days": len(of_fifty),
        "calls to record a partition": tally.calls / 100,
    }


def page() -> dict[str, float]:
    """Bytes of a dashboard's page, whole and empty: four tenants and two months."""
    from analytics_platform.catalog import Audience, load_catalog
    from analytics_platform.reporting.page import PageContent, render_page
    from analytics_platform.reporting.payload import Pages

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from reporting.large_pages import large_page_rows

    catalog = load_catalog()
    rows = large_page_rows(catalog, "executive_overview", list(catalog.tenants.values()), _PAGE_DAYS)
    payload = Pages(catalog, rows).payload(Audience("admin"))
    whole = render_page(catalog, PageContent(payload, []))
    with tallied() as tally:
        render_page(catalog, PageContent(payload, []))
    return {"bytes of a page": len(whole), "calls to render a page": tally.calls}


def counts() -> dict[str, float]:
    """Everything, in the order in which modules have to be imported to be told apart."""
    found: dict[str, float] = {"modules of `analytics --help`": modules_of("analytics_platform.cli")}
    for measure in (graph, ingest, event_log, page):
        found |= measure()
    return {name: round(value, 1) for name, value in found.items()}


def counted_apart() -> dict[str, float]:
    """The counts of a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard", "--count"],
        env={**os.environ, **_ENVIRONMENT},
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = yaml.safe_load(done.stdout)
    return found


def worsened(found: dict[str, float], limits: dict[str, Any]) -> list[str]:
    """What has become markedly dearer, or is not known on one of the sides."""
    said = [f"{name}: not in {LIMITS.name}; renew it" for name in found if name not in limits["counted"]]
    for name, before in limits["counted"].items():
        borne = before * (1 + limits["borne"].get(name, limits["borne"]["otherwise"]))
        if name not in found:
            said.append(f"{name}: is counted no more; renew {LIMITS.name}")
        elif found[name] > borne:
            said.append(f"{name}: {found[name]:,} after {before:,}, of which at most {borne:,.1f} are borne")
    return said


def limits() -> dict[str, Any]:
    """What was counted when the limits were last renewed, and how much more is borne."""
    read: dict[str, Any] = yaml.safe_load(LIMITS.read_text())
    return read


def write(found: dict[str, float]) -> None:
    """Renew what was counted, and leave the words above it and what is borne."""
    head = LIMITS.read_text().partition("counted:")[0]
    LIMITS.write_text(head + yaml.safe_dump({"counted": found}, sort_keys=False))


def main(chosen: argparse.Namespace, count: Callable[[], dict[str, float]] = counted_apart) -> int:
    """Print each count beside the last; exit code 1 when one has markedly worsened."""
    if chosen.count:
        print(yaml.safe_dump(counts(), sort_keys=False))
        return 0
    found, before = count(), limits()
    for name, value in found.items():
        print(f"{name:40}{value:>14,}  {before['counted'].get(name, 0):>14,}")
    if chosen.write:
        write(found)
        return 0
    said = worsened(found, before)
    print("\n".join(said) or "nothing has markedly worsened")
    return 1 if said else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="take what is counted now as the limits")
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    sys.exit(main(parser.parse_args()))
