"""The examples of docs/extracts.md run as they stand there, on a published lake."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from analytics_platform.settings import PROJECT_ROOT
from reporting.conftest import Published
from reporting.kpi_tables import LAST_DAY

GUIDE = (PROJECT_ROOT / "docs" / "extracts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def ran(published: Published) -> dict[str, Any]:
    """Everything that the examples name, after they ran."""
    names: dict[str, Any] = {"lake": published.store.root}
    for block in BLOCKS:
        exec(block, names)
    return names


def test_duckdb_sums_the_newest_day(ran: dict[str, Any], published: Published) -> None:
    expected = published.warehouse.query(
        "select tenant_id, sum(mrr_reporting_minor) / 100 as mrr_eur from kpi.kpi_mrr where day = ? "
        "group by tenant_id order by tenant_id",
        [LAST_DAY],
    )
    assert ran["by_tenant"] == [(row["tenant_id"], row["mrr_eur"]) for row in expected.to_pylist()]


def test_pandas_reads_a_week_and_the_sheet_the_whole_table(ran: dict[str, Any], published: Published) -> None:
    counts = published.warehouse.query(
        "select count(*) as rows, count(*) filter (day > ? - 7) as week from kpi.kpi_mrr", [LAST_DAY]
    ).to_pylist()[0]
    assert (len(ran["sheet"]), len(ran["frame"])) == (counts["rows"], counts["week"])
    assert ran["sheet"]["mrr_minor"].sum() == published.warehouse.query(
        "select sum(mrr_minor) from kpi.kpi_mrr"
    ).column(0)[0].as_py()  # fmt: skip


def test_the_manifest_that_the_guide_shows_has_the_keys_of_a_real_one(published: Published) -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    real = json.loads(published.store.get("extracts/finance/manifest.json"))
    told = json.loads(shown)
    assert told.keys() <= real.keys()
    table, of_real = told["tables"]["mrr"], real["tables"]["mrr"]
    assert table.keys() <= of_real.keys()
    assert table["csv"].keys() == of_real["csv"].keys()
    assert table["schema"].keys() == of_real["schema"].keys()
    assert next(iter(table["days"].values())).keys() == next(iter(of_real["days"].values())).keys()
