"""The running day is half a day: its events come as far as staging, figures wait until it is closed."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from defs_house import MRR_EXTRACT, House
from known_keys import KEYS

from analytics_platform.catalog import load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.resources import store_from, warehouse_from
from analytics_platform.defs.run_report import RunReport
from analytics_platform.defs.runs import Reach, default_reach, run_days
from analytics_platform.intake.importer import import_paths
from analytics_platform.settings import Settings

TODAY = date(2026, 3, 10)
YESTERDAY = TODAY - timedelta(days=1)


@pytest.mark.parametrize(
    ("landed", "built_to", "reach"),
    [
        ([date(2026, 3, 2), TODAY], None, Reach(TODAY, YESTERDAY)),
        ([date(2026, 3, 2), date(2026, 3, 5)], None, Reach(date(2026, 3, 5), date(2026, 3, 5))),
        ([date(2026, 3, 2), TODAY], date(2026, 3, 5), Reach(TODAY, YESTERDAY)),
        ([date(2026, 3, 2)], YESTERDAY, Reach(YESTERDAY, YESTERDAY)),
        ([date(2026, 3, 2)], TODAY, Reach(TODAY, TODAY)),
        ([TODAY], None, Reach(TODAY, TODAY)),
    ],
    ids=["running day", "old history", "gap", "late data", "running day built by name", "nothing but the running day"],
)
def test_figures_end_with_the_closed_day_and_never_before_what_is_built(
    landed: list[date], built_to: date | None, reach: Reach
) -> None:
    assert default_reach(landed, TODAY, built_to) == reach


STAGED = keys.AssetKey(["staging", "product", "stg_product__ui_flow_step"])

TENANT = """
- tenant_id: west
  name: West of all
  country: US
  time_zone: Etc/GMT+12
  currency: USD
  financial_year_end: "12-31"
  business_hours: {1: {opens: "09:00", closes: "17:00"}}
"""


class WesternHouse:
    """A deployment where the day begins last on earth: no event of its running day can be of the day before."""

    def __init__(self, home: Path) -> None:
        tenants = home / "tenants.yaml"
        tenants.write_text(TENANT)
        self.settings = Settings(
            home=home, tenants_file=tenants, reporting_time_zone="Etc/GMT+12", history_start=date(2026, 1, 1)
        )
        if not manifest_path(self.settings).exists():
            build_manifest(self.settings)
        house = House(self.settings, build_definitions(self.settings))
        self.definitions = house.up_to(keys.loaded("product"), STAGED, MRR_EXTRACT).definitions
        self.catalog = load_catalog(tenants)

    def land_step(self, name: str, at: datetime) -> None:
        """Import one event of the app."""
        said = {"flow": "booking", "step": "dates", "outcome": "completed", "flow_run_id": name}
        message = {
            "type": "track",
            "event": "ui.flow_step",
            "messageId": name,
            "timestamp": at.isoformat(),
            "properties": {"schema_version": 1, "tenant_id": "west", **said},
        }
        path = self.settings.home / f"{name}.ndjson"
        path.write_bytes(orjson.dumps(message))
        assert (
            import_paths([path], catalog=self.catalog, store=store_from(self.settings), identities=KEYS).accepted == 1
        )

    def run(self) -> RunReport:
        report = run_days(self.settings, definitions=self.definitions)
        assert {run.status for run in report.runs} <= {"SUCCESS"}, report.as_dict()
        return report

    def loaded_to(self) -> date:
        query = "select max(day) as day from raw.product union all select max(day) from ops.ledger"
        first, second = (row["day"] for row in warehouse_from(self.settings).query(query).to_pylist())
        assert isinstance(first, date)
        assert first == second
        return first


@pytest.mark.integration
def test_events_of_today_are_loaded_at_once_and_counted_tomorrow(tmp_path: Path) -> None:
    house, now = WesternHouse(tmp_path), datetime.now(UTC)
    house.land_step("yesterday", now - timedelta(days=1))
    house.land_step("today", now)
    first = house.run()
    assert first.last is not None
    assert house.loaded_to() == first.last + timedelta(days=1)
    assert (first.built["loaded/product"], first.built["kpi/revenue/kpi_mrr"]) == (2, 1)
    assert first.built[STAGED.to_user_string()] == 2

    house.land_step("later", now + timedelta(seconds=1))
    second = house.run()
    assert (second.first, second.last) == (None, None)
    assert second.built["loaded/product"] == 1
    assert "kpi/revenue/kpi_mrr" not in second.built
    assert house.run().is_idle
