"""The main job as a user does it: import files, run days, ask for numbers, through the `analytics` command.

A few hand-written events of two tenants whose KPIs can be worked out on paper; one home folder for the whole module,
and the tests tell its story in order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import COUNTED, Deployment, Home, first_run_of
from two_tenants import BRITISH, DUTCH, LAST, answer_survey, business, paid, write

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return first_run_of(tmp_path_factory, tmp_path_factory.mktemp("end") / "deployment")


@pytest.fixture(scope="module")
def home(deployment: Deployment) -> Home:
    return deployment.home


@pytest.fixture(scope="module")
def events(deployment: Deployment) -> Path:
    return deployment.events


@pytest.fixture(scope="module")
def first_run(deployment: Deployment) -> dict[str, Any]:
    imported = deployment.said("import")
    assert imported["read"] == imported["accepted"] == len(business())
    assert deployment.said("sql") == deployment.home.sql(COUNTED)
    return deployment.said("run")


KPI_TABLES = [
    "kpi_mrr",
    "kpi_invoice_collection_rate",
    "kpi_equipment_utilisation",
    "kpi_on_time_departures",
    "kpi_nps",
    "kpi_ticket_resolution",
    "kpi_qualified_leads",
    "kpi_channel_conversion",
]


def all_rows(home: Home) -> dict[str, list[dict[str, Any]]]:
    each = (f"select '{table}' as name, to_json(t)::varchar as row from kpi.{table} t" for table in KPI_TABLES)
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in KPI_TABLES}
    for found in home.sql(f"{' union all '.join(each)} order by all"):
        rows[found["name"]].append(json.loads(found["row"]))
    assert all(rows.values())
    return rows


def test_a_run_builds_each_layer_and_passes_its_checks(first_run: dict[str, Any]) -> None:
    assert first_run["checks"]["failed"] == []
    assert first_run["checks"]["passed"] > 100
    layers = {asset.split("/")[0] for asset in first_run["built"]}
    assert layers >= {"raw", "loaded", "staging", "marts", "kpi", "extract", "dashboard"}
    assert first_run["built"]["kpi/revenue/kpi_mrr"] == 5


@pytest.mark.usefixtures("first_run")
def test_the_numbers_are_those_worked_out_on_paper(home: Home) -> None:
    def figures(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in home.sql(query)]

    mrr = "select cast(day as varchar), mrr_minor, new_minor from kpi.kpi_mrr where tenant_id = '{}' order by 1"
    assert figures(mrr.format(DUTCH)) == [
        ("2026-03-02", 10_000, 10_000),
        ("2026-03-03", 10_000, 0),
        ("2026-03-04", 15_000, 5_000),
        ("2026-03-05", 15_000, 0),
        ("2026-03-06", 15_000, 0),
    ]
    assert figures(mrr.format(BRITISH))[0] == ("2026-03-04", 7_000, 7_000)
    assert figures(
        "select cast(day as varchar), collected_minor, net_invoiced_minor from kpi.kpi_invoice_collection_rate "
        "where basis = 'due' and day >= '2026-03-03' order by 1"
    ) == [
        ("2026-03-03", 20_000, 20_000),
        ("2026-03-04", 20_000, 20_000),
        ("2026-03-05", 20_000, 50_000),
        ("2026-03-06", 20_000, 50_000),
    ]
    assert figures("select distinct fleet_items, on_rent_items from kpi.kpi_equipment_utilisation") == [(2, 1)]
    assert figures("select planned, departed, on_time from kpi.kpi_on_time_departures where planned > 0") == [(2, 2, 1)]
    assert figures("select promoters, detractors from kpi.kpi_nps where day = '2026-03-06'") == [(1, 1)]
    assert figures("select final_resolution_minutes from marts.fct_tickets") == [(90.0,)]
    assert figures("select cast(day as varchar), resolved from kpi.kpi_ticket_resolution where resolved > 0") == [
        ("2026-03-03", 1)
    ]
    assert figures("select cast(day as varchar), channel, qualified_leads from kpi.kpi_qualified_leads") == [
        ("2026-03-03", "referral", 1)
    ]
    assert figures(
        "select cast(day as varchar), channel, created, converted from kpi.kpi_channel_conversion "
        "where model = 'first_touch' and created > 0"
    ) == [("2026-03-02", "referral", 1, 1)]


@pytest.mark.usefixtures("first_run")
def test_a_second_import_and_run_change_nothing(home: Home, events: Path) -> None:
    """What a second run over days that are named does is asked in `defs/test_runs`."""
    before = all_rows(home)
    again = home.answer("import", str(events))
    assert (again["accepted"], again["duplicates"]) == (0, len(business()))
    assert home.answer("run")["from"] is None
    assert all_rows(home) == before


@pytest.mark.usefixtures("first_run")
def test_a_late_payment_moves_the_collection_rate_from_its_day_on_and_nothing_else(home: Home, tmp_path: Path) -> None:
    before = all_rows(home)
    late = write(tmp_path / "late.ndjson.gz", [paid("2026-03-05T15:00:00+01:00", 2, 30_000)])
    assert home.answer("import", str(late))["accepted"] == 1
    report = home.answer("run")
    # A day early, since a fact's moment alone does not tell its day in each tenant's time zone.
    assert (report["from"], report["to"]) == ("2026-03-04", LAST)
    after = all_rows(home)
    changed = {table for table in KPI_TABLES if after[table] != before[table]}
    assert changed == {"kpi_invoice_collection_rate"}
    days = {
        row["day"] for row in after["kpi_invoice_collection_rate"] if row not in before["kpi_invoice_collection_rate"]
    }
    assert days == {"2026-03-05", "2026-03-06"}


@pytest.mark.usefixtures("first_run")
def test_each_line_of_an_odd_file_is_accounted_for(home: Home, tmp_path: Path) -> None:
    good = json.dumps(answer_survey("2026-03-06T10:00:00+01:00", 9, 7)).encode()
    lines = [b"\xef\xbb\xbf" + good, b"{broken", b"\xff\xfe", b"", b'"text"', b"x" * 20_000_000, good + b"\r"]
    path = tmp_path / "odd.ndjson"
    path.write_bytes(b"\n".join(lines))
    report = home.answer("import", str(path))
    assert report["read"] == 6
    assert report["read"] == report["accepted"] + report["duplicates"] + report["dead_lettered"]
    assert (report["accepted"], report["duplicates"]) == (1, 1)
    assert sum(report["reasons"].values()) == report["dead_lettered"] == 4


@pytest.mark.usefixtures("first_run")
def test_the_ledger_balances_for_each_stream_day_and_tenant(home: Home) -> None:
    unbalanced = "select * from ops.ledger where received <> accepted + duplicates + dead_lettered"
    assert home.sql(unbalanced) == []
    assert home.sql("select sum(accepted) as n from ops.ledger where stream = 'billing'")[0]["n"] >= 6


def test_wrong_usage_is_one_clear_line(tmp_path: Path) -> None:
    fresh = Home(tmp_path / "fresh")
    for arguments, message in [
        (("sql", "select 1"), "analytics run"),
        (("run", "--from", "03-2026"), "YYYY-MM-DD"),
        (("run", "--from", "2026-03-09", "--to", "2026-03-01"), "2026-03-09"),
        (("import", str(tmp_path / "absent.ndjson")), "does not exist"),
        (("import", __file__, "--tenant", "nobody"), "nobody"),
    ]:
        done = fresh.called(*arguments)
        assert done.returncode != 0
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    bad_setting = fresh.process("run", ANALYTICS_REPORTING_TIME_ZONE="Mars")
    assert bad_setting.returncode == 1
    assert "reporting_time_zone" in bad_setting.stderr
    assert "ANALYTICS_REPORTING_TIME_ZONE" in bad_setting.stderr
    assert "Traceback" not in bad_setting.stderr
