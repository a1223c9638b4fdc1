"""`run_days` on a real lake, a real instance and a real warehouse. The tests share one house and go in order."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from defs_house import LAST, MRR_EXTRACT, House, new_house
from known_keys import SEALS

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import keys
from analytics_platform.defs.changes import Watermark, first_day_to_build, last_watermark
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.run_report import RunReport
from analytics_platform.defs.runs import DayOutOfRangeError, NothingLandedError, run_days
from analytics_platform.intake.collector.spool import Spool, SpoolLimits
from analytics_platform.lake.changes import landed_partitions, stale_partitions
from analytics_platform.lake.dead_letters import DeadLetter

pytestmark = pytest.mark.integration

STREAMS = list(load_catalog().streams)
MOVED = [keys.extract("finance", "invoice_collection_rate")]
UNMOVED = [
    MRR_EXTRACT,
    keys.extract("customer_health", "nps"),
    keys.extract("operations", "equipment_utilisation"),
    keys.loaded("support"),
]
"""By an invoice; what it does to all KPI tables is asked in `integration/test_end_to_end`, of a payment."""


def run(house: House, first: date | None = None, last: date | None = None) -> RunReport:
    return run_days(house.settings, first, last, definitions=house.definitions)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, demo_events: Path) -> House:
    house = new_house(tmp_path_factory.mktemp("home"))
    house.land(demo_events)
    return house


@pytest.fixture(scope="module")
def progress() -> list[tuple[int, int]]:
    """What the first run has told of how far it is."""
    return []


@pytest.fixture(scope="module")
def first_report(house: House, progress: list[tuple[int, int]]) -> RunReport:
    return run_days(
        house.settings, definitions=house.definitions, progress=lambda done, total: progress.append((done, total))
    )


def watermark(house: House) -> Watermark:
    with open_instance(house.settings) as instance:
        found = last_watermark(instance)
    assert found is not None
    return found


def days(first: date, last: date) -> int:
    return (last - first).days + 1


def test_the_first_run_builds_from_the_first_landed_day_to_the_last(house: House, first_report: RunReport) -> None:
    landed = [day for day, _ in landed_partitions(house.store)]
    assert first_report.as_dict()["checks"]["failed"] == []
    assert first_report.ok
    assert (first_report.first, first_report.last) == (min(landed), max(landed))


def test_progress_never_falls_back_and_ends_where_all_is_done(
    first_report: RunReport, progress: list[tuple[int, int]]
) -> None:
    assert first_report.ok
    shares = [done / total for done, total in progress]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert shares.count(1) == 1


def test_the_report_counts_partitions_per_asset(first_report: RunReport) -> None:
    assert first_report.first is not None
    assert first_report.last is not None
    span = days(first_report.first, first_report.last)
    tenants = len(load_catalog().tenants)
    assert first_report.built["loaded/billing"] == span
    assert first_report.built["kpi/revenue/kpi_mrr"] == span
    assert first_report.built["extract/finance/mrr"] == span
    assert first_report.built["dashboard/finance"] == 1
    assert first_report.built["loaded/tenants"] == 1
    assert 0 < first_report.built["raw/billing"] <= span * tenants


def test_the_report_is_plain_json_with_stable_names(first_report: RunReport) -> None:
    answer = json.loads(json.dumps(first_report.as_dict()))
    assert set(answer) == {
        "ok",
        "from",
        "to",
        "built",
        "runs",
        "checks",
        "held_back",
        "left_out",
        "removed",
        "incidents",
    }
    assert set(answer["checks"]) == {"passed", "failed"}
    assert all(set(run) == {"run_id", "job", "status", "error"} for run in answer["runs"])


def test_dagster_knows_every_partition_that_was_built(house: House, first_report: RunReport) -> None:
    with open_instance(house.settings) as instance:
        for key in ("raw/billing", "staging/billing/stg_billing__invoice_issued", "extract/growth/qualified_leads"):
            asset = keys.AssetKey.from_user_string(key)
            assert len(instance.get_materialized_partitions(asset)) == first_report.built[key]


def test_nothing_is_built_when_nothing_has_changed(house: House, first_report: RunReport) -> None:
    report = run(house)
    assert report.ok
    assert report.is_idle
    assert set(report.built) == {key.to_user_string() for key in keys.LOOKING_BACK}


@dataclass(frozen=True)
class AtOnce:
    """Two processes, of which this is one, that ran the days of the first run again at the same time.

    This one all of the graph, the other what leads to one extract: enough to be in each other's way in every layer.
    With what they answered, and the lake and the warehouse before and after.
    """

    answers: list[dict[str, Any]]
    raw_before: dict[str, datetime]
    raw_after: dict[str, datetime]
    rows_before: dict[str, object]
    rows_after: dict[str, object]


def raw_objects(house: House) -> dict[str, datetime]:
    return {each.key: each.modified_at for each in house.store.list("raw/")}


@pytest.fixture(scope="module")
def at_once(house: House, first_report: RunReport) -> AtOnce:
    code = (
        f"import sys, json; sys.path[:] = {sys.path!r}; from pathlib import Path; from datetime import date;"
        "from analytics_platform.defs.runs import run_days; from defs_house import MRR_EXTRACT, new_house;"
        f"h = new_house(Path({str(house.settings.home)!r})).up_to(MRR_EXTRACT);"
        f"days = date.fromisoformat('{first_report.first}'), date.fromisoformat('{first_report.last}');"
        "print(json.dumps(run_days(h.settings, *days, definitions=h.definitions).as_dict()))"
    )
    raw, rows = raw_objects(house), house.fingerprint()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        ours = run(house, first_report.first, first_report.last).as_dict()
        answers = [ours, json.loads(other.communicate(timeout=400)[0])]
    return AtOnce(answers, raw, raw_objects(house), rows, house.fingerprint())


def test_two_processes_at_once_take_turns_and_spoil_nothing(at_once: AtOnce) -> None:
    problems = [(answer["runs"], answer["checks"]["failed"]) for answer in at_once.answers if not answer["ok"]]
    assert problems == []
    assert at_once.rows_after == at_once.rows_before


def test_a_second_run_over_the_same_days_changes_no_row(first_report: RunReport, at_once: AtOnce) -> None:
    for answer in at_once.answers:
        assert answer["built"]["kpi/revenue/kpi_mrr"] == first_report.built["kpi/revenue/kpi_mrr"]
    assert at_once.rows_after == at_once.rows_before
    # Raw objects that hold all that has landed are not even written again.
    assert {key: at_once.raw_after[key] for key in at_once.raw_before} == at_once.raw_before


def test_one_late_event_makes_exactly_its_day_and_tenant_stale(house: House, first_report: RunReport) -> None:
    house.land_invoice("one", "2026-03-04T10:00:00Z")
    assert stale_partitions(house.store, streams=STREAMS) == [(date(2026, 3, 4), "brabant-rental")]


def test_the_next_run_moves_exactly_the_days_that_depend_on_a_late_event(house: House, first_report: RunReport) -> None:
    late = date(2026, 3, 4)
    house.land_invoice("two", "2026-03-04T11:00:00Z")
    earlier, all_days, seen = house.fingerprint(before=late), house.fingerprint(), watermark(house)
    report = run(house.up_to(*MOVED, *UNMOVED))
    assert report.ok
    assert report.built["raw/billing"] == 1
    assert report.first is not None
    assert late - timedelta(days=1) <= report.first <= late
    assert report.last == first_report.last
    assert house.fingerprint(before=late) == earlier
    after = house.fingerprint()
    moved = {name for name in all_days if after[name] != all_days[name]}
    assert {"raw.billing", "staging.stg_billing__invoice_issued", "kpi.kpi_invoice_collection_rate"} <= moved
    assert not moved & {"kpi.kpi_nps", "kpi.kpi_mrr", "kpi.kpi_equipment_utilisation", "raw.support"}
    # It is complete, so it moves the watermark.
    assert watermark(house).changes_until > seen.changes_until


def test_a_backfill_of_other_days_leaves_the_watermark_where_late_data_has_still_to_be_built_from(house: House) -> None:
    before = watermark(house)
    house.land_invoice("three", "2026-03-03T09:00:00Z")
    run(house.up_to(MRR_EXTRACT), LAST, LAST)
    assert watermark(house) == before
    next_from = first_day_to_build(house.store, before)
    assert next_from is not None
    assert next_from <= date(2026, 3, 3)


def test_an_empty_lake_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingLandedError, match="analytics import"):
        run(new_house(tmp_path))


def test_an_empty_lake_from_which_all_was_refused_says_where_to_see_why(tmp_path: Path) -> None:
    house = new_house(tmp_path)
    (tmp_path / "broken.ndjson").write_text("{broken\n")
    assert house.imported(tmp_path / "broken.ndjson").dead_lettered == 1
    with pytest.raises(NothingLandedError, match="analytics dead-letters show"):
        run(house)


def test_an_empty_lake_whose_events_wait_in_a_spool_says_so(tmp_path: Path) -> None:
    house = new_house(tmp_path)
    spool = Spool.open(house.settings.spool_root / "collector0a", "collector0a", SpoolLimits())
    entry = DeadLetter(
        "invalid_json", "no JSON", b"{", LAST, "brabant-rental", "product", received_at=datetime.now(UTC)
    )
    asyncio.run(spool.commit([entry.sealed(SEALS)]))
    spool.close()
    with pytest.raises(NothingLandedError, match="1 message waits in the collector's spool"):
        run(house)


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (date(2026, 3, 3), date(2026, 3, 2), "after the last"),
        (date(2021, 1, 1), date(2026, 3, 2), "ANALYTICS_HISTORY_START"),
        (date(2026, 3, 3), date(2999, 1, 1), "no partition"),
    ],
)
def test_days_that_cannot_be_are_refused(house: House, first: date, last: date, text: str) -> None:
    with pytest.raises(DayOutOfRangeError, match=text):
        run(house, first, last)
