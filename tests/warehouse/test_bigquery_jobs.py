"""What BigQuery is asked for, and what is made of its answers: Google's client against a REST stand-in."""

from __future__ import annotations

import io
import re
import string
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_rest import PROJECT, Planned, Rest, rest_api
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings, SettingsError
from analytics_platform.warehouse import (
    QueryError,
    WarehouseBusyError,
    WarehouseMissingError,
    WarehouseUnreachableError,
)
from analytics_platform.warehouse.bigquery import BigQueryWarehouse
from analytics_platform.warehouse.bigquery_jobs import label_value
from analytics_platform.warehouse.bigquery_place import BigQueryPlace
from analytics_platform.warehouse.work import Work

DAY, NEXT = date(2026, 1, 31), date(2026, 2, 1)
LIMIT = 50 * 1024**2
ROWS = pa.table({"day": pa.array([DAY, DAY], pa.date32()), "tenant_id": ["a", "b"], "n": [1, 2]})


@pytest.fixture
def rest() -> Iterator[Rest]:
    with rest_api() as api:
        yield api


@pytest.fixture
def warehouse(rest: Rest) -> BigQueryWarehouse:
    return asking(rest)


def asking(rest: Rest, **work: str) -> BigQueryWarehouse:
    place = BigQueryPlace(
        PROJECT,
        "eu",
        environment="ci",
        maximum_bytes_billed=LIMIT,
        api_endpoint=rest.address,
        anonymous=True,
    )
    return BigQueryWarehouse(place, lambda: Work(**work))  # type: ignore[arg-type]


def test_nothing_connects_before_the_first_question(rest: Rest) -> None:
    assert asking(rest).address == "BigQuery analytics (eu)"
    assert rest.asked == []


def test_a_day_is_loaded_into_its_partition_in_the_place_of_what_is_there(
    rest: Rest, warehouse: BigQueryWarehouse
) -> None:
    assert warehouse.replace_days("raw.billing", ROWS, DAY, DAY) == 2
    (load,) = rest.loads()
    config = load.body["configuration"]["load"]
    assert config["destinationTable"] == {"projectId": PROJECT, "datasetId": "raw", "tableId": "billing$20260131"}
    assert config["writeDisposition"] == "WRITE_TRUNCATE"
    assert config["createDisposition"] == "CREATE_NEVER"
    assert [(each["name"], each["type"]) for each in config["schema"]["fields"]] == [
        ("day", "DATE"),
        ("tenant_id", "STRING"),
        ("n", "INT64"),
    ]
    assert pq.read_table(io.BytesIO(load.content)).equals(ROWS)
    assert rest.queries() == []


def test_a_day_without_rows_is_loaded_empty(rest: Rest, warehouse: BigQueryWarehouse) -> None:
    warehouse.replace_days("raw.billing", ROWS.slice(0, 0), DAY, DAY)
    (load,) = rest.loads()
    assert pq.read_table(io.BytesIO(load.content)).num_rows == 0
    assert load.body["configuration"]["load"]["destinationTable"]["tableId"] == "billing$20260131"


def test_a_table_has_a_partition_for_each_day_and_none_is_read_unasked(
    rest: Rest, warehouse: BigQueryWarehouse
) -> None:
    warehouse.replace_days("raw.billing", ROWS, DAY, DAY)
    (made,) = rest.those("POST", "/datasets/raw/tables$")
    assert made.body["timePartitioning"] == {"type": "DAY", "field": "day"}
    assert made.body["requirePartitionFilter"] is True
    assert made.body["clustering"] == {"fields": ["tenant_id"]}
    (dataset,) = rest.those("POST", "/datasets$")
    assert (dataset.body["datasetReference"]["datasetId"], dataset.body["location"]) == ("raw", "eu")


def test_a_replaced_table_keeps_its_row_policies_unless_its_columns_are_others(
    rest: Rest, warehouse: BigQueryWarehouse
) -> None:
    warehouse.replace_table("raw.tenants", ROWS)
    standing = {
        "tableReference": {"projectId": PROJECT, "datasetId": "raw", "tableId": "tenants"},
        "schema": {"fields": [{"name": "n", "type": "INTEGER"}]},
    }
    rest.planned.append(Planned("POST", "/datasets/raw/tables$", (200, standing)))
    warehouse.replace_table("raw.tenants", ROWS)
    told = [each.body["configuration"]["load"]["writeDisposition"] for each in rest.loads()]
    assert told == ["WRITE_TRUNCATE_DATA", "WRITE_TRUNCATE"]


def test_several_days_are_staged_and_replaced_by_one_statement(rest: Rest, warehouse: BigQueryWarehouse) -> None:
    assert warehouse.replace_days("raw.billing", ROWS, DAY, NEXT) == 2
    (load,) = rest.loads()
    staged = load.body["configuration"]["load"]["destinationTable"]["tableId"]
    assert staged.startswith("load_billing_")
    (query,) = rest.queries()
    sql = query["query"]["query"]
    assert sql.startswith("merge into")
    assert f"`raw`.`{staged}`" in sql
    assert "built.day between ? and ? then delete" in sql
    values = [each["parameterValue"]["value"] for each in query["query"]["queryParameters"]]
    assert values == ["2026-01-31", "2026-02-01"]
    (dropped,) = rest.those("DELETE", staged)
    assert rest.asked[-1] == dropped


def test_a_staged_table_goes_by_itself_where_the_process_died(rest: Rest, warehouse: BigQueryWarehouse) -> None:
    warehouse.replace_days("raw.billing", ROWS, DAY, NEXT)
    made = [each.body for each in rest.those("POST", "/tables$")]
    (staged,) = (each for each in made if each["tableReference"]["tableId"].startswith("load_"))
    left = datetime.fromtimestamp(int(staged["expirationTime"]) / 1000, UTC) - datetime.now(UTC)
    assert timedelta(hours=1) < left < timedelta(days=1)


def test_a_staged_table_is_dropped_after_a_failure_too(rest: Rest, warehouse: BigQueryWarehouse) -> None:
    rest.plan("POST", "^/bigquery/.*/jobs$", 400, "invalidQuery", "Unrecognized name: n")
    with pytest.raises(QueryError, match="Unrecognized name: n"):
        warehouse.replace_days("raw.billing", ROWS, DAY, NEXT)
    assert len(rest.those("DELETE", "/load_billing_")) == 1


def test_each_query_has_its_limit_of_cost_and_its_labels(rest: Rest) -> None:
    warehouse = asking(rest, asset="kpi/revenue/kpi_mrr", workload="nightly")
    assert warehouse.query("select 7 as n from kpi.kpi_mrr where day = ?", [DAY]).to_pylist() == [{"n": 7}]
    (query,) = rest.queries()
    assert query["query"]["maximumBytesBilled"] == str(LIMIT)
    assert query["query"]["priority"] == "INTERACTIVE"
    assert query["labels"] == {"asset": "kpi_revenue_kpi_mrr", "workload": "nightly", "environment": "ci"}


def test_loads_have_labels_too_and_outside_of_runs_the_table_is_the_asset(
    rest: Rest, warehouse: BigQueryWarehouse
) -> None:
    warehouse.replace_table("raw.tenants", ROWS)
    (load,) = rest.loads()
    assert load.body["configuration"]["labels"]["asset"] == "raw_tenants"
    assert re.fullmatch(r"analytics-raw_tenants-[0-9a-f-]{36}", load.body["jobReference"]["jobId"])


def test_what_a_backfill_asks_waits_for_slots_that_nobody_wants(rest: Rest) -> None:
    asking(rest, workload="backfill").query("select 7 as n")
    assert rest.queries()[0]["query"]["priority"] == "BATCH"


def test_a_load_whose_answer_was_lost_is_found_again_and_not_repeated(rest: Rest, warehouse: BigQueryWarehouse) -> None:
    rest.plan("POST", "^/upload/", 503, "backendError", "try again", is_lost=True)
    assert warehouse.replace_days("raw.billing", ROWS, DAY, DAY) == 2
    assert len(rest.jobs) == 1
    assert len({each.body["jobReference"]["jobId"] for each in rest.loads()}) == 1


def test_a_query_whose_answer_was_lost_is_found_again_and_not_repeated(
    rest: Rest, warehouse: BigQueryWarehouse
) -> None:
    rest.plan("POST", "^/bigquery/.*/jobs$", 503, "backendError", "try again", is_lost=True)
    assert warehouse.remove_rows("raw.billing", "day = ?", [DAY]) == 2
    assert len(rest.jobs) == 1


def test_a_load_that_bigquery_itself_broke_is_started_again(rest: Rest, warehouse: BigQueryWarehouse) -> None:
    rest.fail_next_job("backendError", "an internal error")
    assert warehouse.replace_days("raw.billing", ROWS, DAY, DAY) == 2
    assert len(rest.jobs) == 2


def test_rows_that_do_not_fit_are_not_loaded_again(rest: Rest, warehouse: BigQueryWarehouse) -> None:
    rest.fail_next_job("invalid", "Some rows belong to different partitions rather than destination partition 20260131")
    with pytest.raises(QueryError, match="different partitions"):
        warehouse.replace_days("raw.billing", ROWS, DAY, DAY)
    assert len(rest.jobs) == 1


FAILURES = [
    (400, "bytesBilledLimitExceeded", "Query exceeded limit", QueryError, "ANALYTICS_BIGQUERY_MAXIMUM_BYTES_BILLED"),
    (
        404,
        "notFound",
        "Not found: Dataset analytics:kpi was not found",
        WarehouseMissingError,
        "ANALYTICS_BIGQUERY_REGION",
    ),
    (404, "notFound", "Not found: Table analytics:kpi.nothing was not found", QueryError, "kpi.nothing"),
    (403, "accessDenied", "Access Denied: Project analytics", WarehouseUnreachableError, "docs/bigquery.md"),
    (403, "quotaExceeded", "Quota exceeded: too many table updates", WarehouseBusyError, "start it again later"),
    (400, "invalidQuery", "could not serialize access to table", WarehouseBusyError, "start it again later"),
]


@pytest.mark.parametrize(("status", "reason", "message", "outcome", "mend"), FAILURES)
def test_a_failure_is_told_with_its_mend(
    rest: Rest,
    warehouse: BigQueryWarehouse,
    status: int,
    reason: str,
    message: str,
    outcome: type[AnalyticsError],
    mend: str,
) -> None:
    rest.plan("POST", "/jobs$", status, reason, message)
    with pytest.raises(outcome, match=re.escape(mend)) as caught:
        warehouse.query("select n from kpi.nothing where secret = ?", ["a value of somebody"])
    assert "a value of somebody" not in str(caught.value)


NO_FILTER = (
    "Cannot query over table 'analytics.raw.billing' without a filter over column(s) 'day' that can be used for "
    "partition elimination"
)


def test_a_question_about_all_of_history_says_so_where_the_table_wants_it(
    rest: Rest, warehouse: BigQueryWarehouse
) -> None:
    rest.plan("POST", "/jobs$", 400, "invalidQuery", NO_FILTER)
    warehouse.query("select count(*) as n from raw.billing as b where tenant_id = ?", ["a"])
    first, second = (each["query"]["query"] for each in rest.queries())
    assert "0001-01-01" not in first
    assert "(SELECT * FROM raw.billing WHERE day >= CAST('0001-01-01' AS DATE)) AS b" in second


def test_a_table_that_wants_more_than_its_days_is_not_asked_for_ever(rest: Rest, warehouse: BigQueryWarehouse) -> None:
    for _ in range(2):
        rest.plan("POST", "/jobs$", 400, "invalidQuery", NO_FILTER.replace("raw.billing", "other.table"))
    with pytest.raises(QueryError, match="without a filter"):
        warehouse.query("select count(*) as n from raw.billing")


@pytest.mark.parametrize(
    "sql", ["delete from raw.billing", "create table raw.x as select 1", "select 1; drop table raw.billing", "selec"]
)
def test_what_is_no_query_is_not_sent(rest: Rest, warehouse: BigQueryWarehouse, sql: str) -> None:
    with pytest.raises(QueryError):
        warehouse.query(sql)
    assert rest.asked == []


def test_an_environment_without_credentials_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(WarehouseUnreachableError, match="no credentials for BigQuery"):
        BigQueryWarehouse(BigQueryPlace(PROJECT, "eu")).query("select 1 as n")


def test_nobody_asks_google_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_BIGQUERY_ANONYMOUS", "true")
    with pytest.raises(SettingsError, match="bigquery_api_endpoint"):
        Settings.from_environment()


@given(st.text(alphabet=f"{string.printable}éß\u4e2d", max_size=80))
def test_a_label_has_characters_that_bigquery_takes(text: str) -> None:
    value = label_value(text)
    assert len(value) <= 63
    assert set(value) <= {*string.ascii_lowercase, *string.digits, "_", "-"}
