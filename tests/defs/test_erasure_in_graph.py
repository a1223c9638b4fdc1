"""A canary's real traffic through the graph, erased, and searched for in every file and table; tests go in order."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from defs_house import House
from erasure_house import CANARY, MINE, NEIGHBOUR, NOON, OTHER, YESTERDAY, build, facts, filled_house, problems

from analytics_platform.cli import main
from analytics_platform.defs import keys
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.layout import raw_key
from analytics_platform.lake.ledger import ledger_rows, unbalanced

pytestmark = pytest.mark.integration

TOTALS = {
    "invoices": "select tenant_id, count(*) as n, sum(total_minor) as minor from marts.fct_invoices group by 1",
    "mrr": f"select tenant_id, sum(mrr_minor) as minor, sum(active_customers) as n from kpi.kpi_mrr "
    f"where day = date '{YESTERDAY}' group by 1",
    "collection": "select tenant_id, sum(collected_minor) as collected, sum(net_invoiced_minor) as net "
    "from kpi.kpi_invoice_collection_rate group by 1",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return filled_house(tmp_path_factory, tmp_path_factory.mktemp("erasure") / "home")


@dataclass(frozen=True)
class Before:
    """What was there before anybody was erased."""

    left: set[str]
    totals: dict[str, Any]
    others: dict[str, bytes]
    landing: dict[str, bytes]


@pytest.fixture(scope="module")
def before(house: House) -> Before:
    landing = {info.key: house.store.get(info.key) for info in house.store.list("landing/")}
    return Before(found(house), totals(house), of_others(house), landing)


@pytest.fixture(scope="module")
def request_id(house: House, before: Before) -> str:
    """Asked for, approved and carried out from the command line."""
    given = ["--id", CANARY.user, "--id", CANARY.lead, "--email", CANARY.email]
    asked = analytics(house, "request", "--tenant", MINE, *given, "--by", "ann", "--reason", "art. 17", "--json")
    said = json.loads(asked)
    assert set(CANARY.traces) <= set(said["ids"])
    request_id, plan = said["request"], said["plan"]
    assert "drew this plan" in analytics(house, "approve", request_id, "--plan", plan, "--by", "ann", code=1)
    assert "pending" in analytics(house, "status")
    analytics(house, "approve", request_id, "--plan", plan, "--by", "bob")
    assert "nothing survives" in analytics(house, "run", request_id, "--by", "bob")
    return str(request_id)


def analytics(house: House, *words: str, code: int = 0) -> str:
    environment = {
        "ANALYTICS_HOME": str(house.settings.home),
        "ANALYTICS_HISTORY_START": str(house.settings.history_start),
    }
    answered = CliRunner().invoke(main, ["erase", *words], env=environment, catch_exceptions=False)
    assert answered.exit_code == code, answered.output
    return answered.output


def totals(house: House) -> dict[str, Any]:
    warehouse = warehouse_from(house.settings)
    return {name: sorted(map(str, warehouse.query(sql).to_pylist())) for name, sql in TOTALS.items()}


def of_others(house: House) -> dict[str, bytes]:
    keys_ = [i.key for i in house.store.list("") if any(f"tenant={t}/" in i.key for t in (OTHER, "_unknown"))]
    return {key: house.store.get(key) for key in keys_}


def found(house: House) -> set[str]:
    """Every file and every table in which anything of the canary is, naively."""
    places = {_place(house, path) for path, data in _files(house) if _is_in(data)}
    with closing(duckdb.connect(str(house.settings.warehouse_path), read_only=True)) as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
        ).fetchall()
        for (table,) in tables:
            said = connection.execute(f"select cast(t as varchar) from {table} t").fetchall()
            if _is_in("\n".join(row for (row,) in said).encode()):
                places.add(table)
    return places


def _files(house: House) -> Iterator[tuple[Path, bytes]]:
    for path in house.settings.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".zst":
                data = b"\n".join(lines_of(data))
            elif path.suffix == ".parquet":
                data = str(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
            yield path, data


def _place(house: House, path: Path) -> str:
    return "/".join(path.relative_to(house.settings.home).parts[:2])


def _is_in(data: bytes) -> bool:
    return any(trace.encode() in data for trace in CANARY.traces)


def test_before_the_erasure_the_canary_is_in_every_layer(house: House, before: Before) -> None:
    assert {"lake/landing", "lake/raw", "raw.billing", "raw.crm", "raw.support"} <= before.left
    assert {"staging.stg_billing__invoice_issued", "marts.dim_customers", "marts.fct_invoices"} <= before.left
    assert {"marts.fct_tickets", "marts.fct_survey_answers", "marts.int_lead_identities"} <= before.left


def test_afterwards_the_canary_is_in_no_file_and_no_table(house: House, before: Before, request_id: str) -> None:
    assert found(house) == set()
    assert of_others(house) == before.others


def test_the_bytes_are_gone_from_the_warehouse_file(house: House, request_id: str, tmp_path: Path) -> None:
    """Under compression a search of the bytes proves nothing: here the file is stored without any."""
    plain = tmp_path / "plain.duckdb"
    with closing(duckdb.connect(str(plain))) as connection:
        connection.execute("set force_compression = 'uncompressed'")
        connection.execute(f"attach '{house.settings.warehouse_path}' as source (read_only)")
        connection.execute("copy from database source to plain")
        connection.execute("checkpoint")
    data = plain.read_bytes()
    assert all(trace.encode() in data for trace in (NEIGHBOUR.user, NEIGHBOUR.customer))
    assert not _is_in(data)


def test_fiscal_totals_are_equal_and_the_account_holds(house: House, before: Before, request_id: str) -> None:
    assert totals(house) == before.totals
    ledger = ledger_rows(house.store, house.settings.history_start, datetime.now(UTC).date())
    assert unbalanced(ledger).num_rows == 0


def test_the_receipt_says_what_is_kept_and_names_nobody(house: House, request_id: str, tmp_path: Path) -> None:
    analytics(house, "receipt", request_id, "--to", str(tmp_path))
    forms = {path.suffix: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(forms) == {".html", ".pdf", ".json"}
    assert not any(_is_in(data) for data in forms.values())
    said = json.loads(forms[".json"])
    kept = {line["dataset"]: line for line in said["lines"] if line["fate"] == "severed"}
    assert kept["raw.billing"]["reason"] == "legal_obligation"
    assert kept["raw.billing"]["final_erasure_on"] == f"{YESTERDAY.year + 8}-01-01"
    assert {line["fate"] for line in said["lines"] if line["dataset"] == "raw.crm"} == {"deleted"}
    assert all(line["physically_purged_by"] for line in said["lines"])
    assert b"keyed hash" in forms[".html"]


def test_the_next_build_neither_fails_nor_brings_the_canary_back(house: House, before: Before, request_id: str) -> None:
    """Old landing objects are put back and the raw objects lost: the screen of the raw build is all that is left."""
    for key, data in before.landing.items():
        house.store.put(key, data)
    for stream in ("billing", "crm", "support"):
        house.store.delete(raw_key(stream, YESTERDAY, MINE))
    assert problems(build(house)) == []
    left = {place for place in found(house) if place != "lake/landing"}
    assert left == set()
    assert totals(house) == before.totals


def test_an_old_file_that_is_imported_again_is_refused_at_the_gate(
    house: House, request_id: str, tmp_path: Path
) -> None:
    at = NOON.isoformat()
    properties = {"schema_version": 1, "tenant_id": MINE, **facts(MINE, CANARY)["ticket.opened"]}
    message = {"type": "track", "event": "ticket.opened", "messageId": "again", "userId": CANARY.user, "timestamp": at}
    path = tmp_path / "old.ndjson"
    path.write_text(json.dumps({**message, "properties": properties}))
    report = house.imported(path)
    assert (report.accepted, report.reasons) == (0, {"erased": 1})


def test_the_daily_job_says_how_requests_stand_and_its_checks_hold(house: House, request_id: str) -> None:
    job = house.definitions.resolve_job_def("govern")
    with open_instance(house.settings) as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    checks = {e.check_name: e for e in result.get_asset_check_evaluations() if e.asset_key == keys.ERASURE}
    assert set(checks) == {
        "no_erased_subject_survives",
        "requests_are_answered_in_time",
        "requests_are_under_way",
        "begun_erasures_are_verified",
        "severed_rows_go_at_their_term",
        "no_lock_forbids_erasure",
    }
    assert [(name, each.description) for name, each in checks.items() if not each.passed] == []
    rows = warehouse_from(house.settings).query("select request_id, state, held from ops.erasures").to_pylist()
    assert rows == [{"request_id": request_id, "state": "verified", "held": 0}]


def test_who_is_back_is_found_by_hash(house: House, request_id: str) -> None:
    warehouse = warehouse_from(house.settings)
    tickets = warehouse.query("select * from marts.fct_tickets")
    position = tickets.schema.get_field_index("requester_ref")
    back = tickets.set_column(position, "requester_ref", [[CANARY.user] * tickets.num_rows])
    warehouse.replace_table("marts.fct_tickets", back)
    warehouse.query("select 1")
    job = house.definitions.resolve_job_def("govern")
    with open_instance(house.settings) as instance:
        result = job.execute_in_process(instance=instance, asset_selection=[keys.ERASURE], raise_on_error=False)
    (survives,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "no_erased_subject_survives"]
    assert not survives.passed
    assert "marts.fct_tickets" in str(survives.metadata)
    assert CANARY.user not in str(survives)
