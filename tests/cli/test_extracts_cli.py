"""`analytics extracts`: what is published, whether it is whole, and copies of it."""

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from published_days import put_day

from analytics_platform.cli import main
from analytics_platform.lake.store import LocalStore

ONE, TWO, THREE = date(2026, 6, 28), date(2026, 6, 29), date(2026, 6, 30)
_SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("tenant_id", pa.string()),
        pa.field("mrr_minor", pa.int64(), metadata={"pii": "none", "description": "MRR."}),
    ]
)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """A home with three days of one extract."""
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
    store = LocalStore(tmp_path / "home" / "lake")
    for number, day in enumerate((ONE, TWO, THREE)):
        rows = pa.table({"day": [day], "tenant_id": ["albion-stage"], "mrr_minor": [number]}, schema=_SCHEMA)
        put_day(store, "finance", "mrr", day, rows)
    return store


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["extracts", *arguments])


def answer(*arguments: str) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.output)
    return said


def test_the_list_says_version_days_and_rows() -> None:
    (found,) = answer("list")["extracts"]
    assert (found["dashboard"], found["table"], found["schema_version"]) == ("finance", "mrr", 1)
    assert (found["first"], found["last"], found["days"], found["rows"]) == (str(ONE), str(THREE), 3, 3)
    assert "finance/mrr" in call("list").output


def test_a_table_is_shown_with_columns_days_and_where_its_csv_is() -> None:
    shown = call("show", "finance", "mrr").output
    for part in ("publication 3", "mrr_minor", "MRR.", str(THREE), "extracts/finance/mrr/mrr.csv: 3 rows"):
        assert part in shown
    assert list(answer("show", "finance")["tables"]["mrr"]["days"]) == [str(ONE), str(TWO), str(THREE)]


def test_what_is_unknown_is_answered_with_what_is_known() -> None:
    assert "no dashboard 'nope' in the catalogue; known dashboards are" in call("show", "nope").output
    assert "finance publishes no nope; known tables are mrr" in call("show", "finance", "nope").output
    assert "no manifest of growth yet" in call("verify", "growth").output


def test_verify_reads_every_object_and_names_the_one_that_changed(store: LocalStore) -> None:
    assert answer("verify")["objects"] == 4
    (info,) = store.list(f"extracts/finance/mrr/day={TWO}/")
    store.put(info.key, store.get(info.key)[::-1])
    result = call("verify", "finance")
    assert result.exit_code == 1
    assert f"{info.key}: has other bytes than were published" in result.output
    assert "build the days" in result.output


def test_an_export_holds_one_publication_and_says_that_nobody_forgets_in_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("export", "finance", "--out", str(out), "--from", str(TWO), "--format", "both")
    assert result.exit_code == 0, result.output
    assert "Retention and erasure do not reach this copy" in result.output
    manifest = json.loads((out / "finance/manifest.json").read_text())
    days = manifest["tables"]["mrr"]["days"]
    assert list(days) == [str(TWO), str(THREE)]
    paths = [out / part["key"].removeprefix("extracts/") for part in days.values()]
    assert pl.read_parquet(paths)["mrr_minor"].to_list() == [1, 2]
    with (out / "finance/mrr/mrr.csv").open(encoding="utf-8", newline="") as file:
        assert [row["mrr_minor"] for row in csv.DictReader(file)] == ["1", "2"]


def test_an_export_is_refused_over_something_and_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "theirs").touch()
    assert "holds something" in call("export", "finance", "--out", str(tmp_path / "full")).output
    none = call("export", "finance", "--out", str(tmp_path / "out"), "--to", "2020-01-01")
    assert "no day of finance is published" in none.output
    other = call("export", "finance", "--out", str(tmp_path / "out"), "--table", "nope")
    assert "publishes no nope" in other.output
    assert not (tmp_path / "out").exists()


def test_an_export_of_damaged_objects_is_refused(store: LocalStore, tmp_path: Path) -> None:
    (info,) = store.list(f"extracts/finance/mrr/day={TWO}/")
    store.put(info.key, b"other")
    assert "has other bytes than were published" in call("export", "finance", "--out", str(tmp_path / "out")).output
