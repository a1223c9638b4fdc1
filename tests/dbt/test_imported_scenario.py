"""A random business through the whole way, from two files in no order to KPI tables.

What the tables amount to is proven cell by cell beside the models (`test_scenario.py`), on facts that are put
into the warehouse as they are. Here such facts pass the gate, the lake and a run, and give the same rows.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from click.testing import CliRunner
from fixture import Dbt, Message
from imported import declared
from part_of_graph import up_to
from scenario import business, tenants

from analytics_platform.cli import main
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.manifest import ensure_manifest
from analytics_platform.defs.run_report import RunReport
from analytics_platform.defs.runs import run_days
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

SEED = 7
FIRST, LAST = date(2026, 3, 22), date(2026, 4, 6)
TENANTS = tenants(SEED, 4)


@dataclass(frozen=True)
class Home:
    """A deployment of its own."""

    path: Path

    def analytics(self, *arguments: str) -> dict[str, Any]:
        """Run a command and return its answer."""
        environment = {
            "ANALYTICS_HOME": str(self.path / "home"),
            "ANALYTICS_TENANTS_FILE": str(self.path / "tenants.yaml"),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        done = CliRunner().invoke(main, [*arguments, "--json"], env=environment, catch_exceptions=False)
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def take_in(self, name: str, messages: Sequence[Message]) -> None:
        """Import messages as one file."""
        file = self.path / f"{name}.ndjson"
        file.write_text("".join(f"{json.dumps(as_sent(each))}\n" for each in messages), encoding="utf-8")
        imported = self.analytics("import", str(file))
        assert imported["accepted"] == len(messages), imported

    def build_figures(self) -> RunReport:
        """Run every day as far as the KPI tables; what is made of them is compared with nothing here."""
        settings = Settings(home=self.path / "home", tenants_file=self.path / "tenants.yaml")
        ensure_manifest(settings)
        whole = build_definitions(settings)
        figures = [key for key in whole.resolve_all_asset_keys() if keys.layer(key) == "kpi"]
        return run_days(settings, FIRST, LAST, definitions=up_to(whole, *figures))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of the warehouse."""
        with duckdb.connect(str(self.path / "home" / "warehouse.duckdb"), read_only=True) as warehouse:
            return warehouse.execute(query).fetchall()


def as_sent(each: Message) -> dict[str, Any]:
    """Return a message as Segment's clients send it."""
    own = {"schema_version": 1, "tenant_id": each.tenant, **each.properties}
    project = {"project_id": each.project} if each.project else {}
    ids = {"userId": each.user_id, "anonymousId": each.anonymous_id or (None if each.user_id else "a-server")}
    return {
        "type": each.type,
        "messageId": each.message_id,
        "timestamp": each.event_at or each.at,
        "receivedAt": each.event_at or each.at,
        "context": each.context,
        "properties": {**own, **project},
        **({"event": each.event} if each.event else {}),
        **{name: value for name, value in ids.items() if value},
    }


@pytest.fixture(scope="module")
def facts() -> list[Message]:
    """Return the business's facts."""
    return business(SEED, TENANTS, FIRST, LAST)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, facts: list[Message]) -> Home:
    """Return a deployment that imported two files and built every day."""
    home = Home(tmp_path_factory.mktemp("deployment"))
    registry = yaml.safe_dump([declared(each) for each in TENANTS])
    (home.path / "tenants.yaml").write_text(registry, encoding="utf-8")
    mixed = random.Random(SEED).sample(facts, len(facts))
    home.take_in("one", mixed[: len(mixed) // 2])
    home.take_in("other", mixed[len(mixed) // 2 :])
    ran = home.build_figures()
    # What a drawn business sends is right, if unusual: its references and volumes are worth a warning.
    assert [each for each in ran.checks_failed if each.severity == "ERROR"] == []
    assert ran.ok, ran.as_dict()
    return home


def test_imported_facts_give_the_rows_of_the_same_facts_in_the_warehouse(
    tmp_path: Path, home: Home, facts: list[Message]
) -> None:
    dbt = Dbt(tmp_path, TENANTS)
    dbt.load(facts)
    dbt.build(FIRST, LAST)
    tables = home.rows("select table_name from information_schema.tables where table_schema = 'kpi'")
    # Anomalies are judged outside dbt.
    queries = {table: f"from kpi.{table} order by all" for (table,) in tables if table != "kpi_anomalies"}
    assert len(queries) > 12
    assert [table for table, query in queries.items() if home.rows(query) != dbt.rows(query)] == []
