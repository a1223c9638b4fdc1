"""The example extension in a deployment of its own: copied, put together, and built from a few hand-written events."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
from click.testing import CliRunner

from analytics_platform.cli import main
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.alerts import QUIET
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import TENANT_PARTITIONS, range_tags
from analytics_platform.settings import PROJECT_ROOT, Settings

EXAMPLE = Path(__file__).parent / "example_extension"
TENANT = "brabant-rental"
DAY = "2026-03-03"
MINE, THEIRS = "staff_wren", "staff_finch"
TABLES = {"landing", "raw", *jobs.SOURCE_LAYERS, "marts", "kpi"}
DASHBOARD = keys.dashboard("damages")
PUBLISHED = {
    DASHBOARD,
    keys.extract("damages", "damage_rate"),
    keys.extract("executive_overview", "kpi_anomalies"),
    keys.extract("executive_overview", "kpi_headlines"),
}
_ids = count()


def copied(folder: Path) -> Path:
    """The example in a folder of the test's; dbt starts from the parse of the platform's project where there is one."""
    shutil.copytree(EXAMPLE, folder)
    parsed = PROJECT_ROOT / "dbt" / "target" / "partial_parse.msgpack"
    if parsed.exists():
        target = folder / ".built" / "dbt" / "target"
        target.mkdir(parents=True)
        shutil.copyfile(parsed, target / parsed.name)
    return folder


def track(event: str, at: str, **properties: object) -> dict[str, object]:
    return {
        "type": "track",
        "event": event,
        "messageId": f"extended-{next(_ids)}",
        "userId": "usr_1",
        "timestamp": at,
        "properties": {"schema_version": 1, "tenant_id": TENANT, "project_id": "prj_1", **properties},
    }


def item(name: str, category: str) -> dict[str, object]:
    about = {"sku": "sku_1", "category": category, "status": "available", "home_warehouse_id": "wh_1"}
    return track("equipment.registered", f"{DAY}T08:00:00+01:00", equipment_id=name, **about)


def damage(report: str, equipment: str, by: str, severity: str = "functional") -> dict[str, object]:
    at = f"{DAY}T09:00:00+01:00"
    told = {"report_id": report, "equipment_id": equipment, "reporter_ref": by, "severity": severity}
    return track("damage.reported", at, reported_at=at, **told)


def events() -> list[dict[str, object]]:
    """Four items, two of them damaged, one reported twice; and a severity that is none."""
    items = [item("lamp_1", "lighting"), item("lamp_2", "lighting"), item("desk_1", "audio"), item("desk_2", "audio")]
    reports = [damage("rep_1", "lamp_1", MINE), damage("rep_2", "lamp_1", THEIRS), damage("rep_3", "desk_1", THEIRS)]
    return [*items, *reports, damage("rep_4", "desk_2", THEIRS, severity="a bit")]


@dataclass(frozen=True)
class ExtendedHome:
    """A home with the example, its graph, and what tests ask of it."""

    settings: Settings
    definitions: dg.Definitions
    found_by_check: dict[str, Any]

    def analytics(self, *words: str, code: int = 0) -> str:
        answer = CliRunner().invoke(main, words, env=environment(self.settings), catch_exceptions=False)
        assert answer.exit_code == code, answer.output
        return answer.stdout

    def sql(self, query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.analytics("sql", query, "--format", "json"))
        return rows

    def build(self) -> Iterator[dg.ExecuteInProcessResult]:
        """All tables, the example's extract and page, and what the page reads besides, with the example's checks."""
        every_check = self.definitions.resolve_asset_graph().asset_check_keys
        judged = [check for check in every_check if is_examples(check.asset_key)]
        with self.instance() as instance:
            instance.add_dynamic_partitions(TENANT_PARTITIONS, [TENANT])
            parts = {
                jobs.INGEST: range_tags(f"{DAY}|{TENANT}", f"{DAY}|{TENANT}"),
                jobs.BUILD: range_tags(DAY, DAY),
                jobs.PUBLISH: range_tags(DAY, DAY),
            }
            for name, tags in parts.items():
                job = self.definitions.resolve_job_def(name)
                every = job.asset_layer.executable_asset_keys
                assets = {key for key in every if keys.layer(key) in TABLES or key in PUBLISHED}
                checks = {check for check in judged if check.asset_key in assets}
                chosen = job.get_subset(asset_selection=assets, asset_check_selection=checks)
                yield chosen.execute_in_process(instance=instance, tags=tags, raise_on_error=False, run_config=QUIET)

    def report(self, monday: date) -> dg.ExecuteInProcessResult:
        """The weekly report of what is published."""
        job = self.definitions.resolve_job_def(jobs.REPORT).get_subset(asset_selection={keys.WEEKLY_REPORT})
        with self.instance() as instance:
            return job.execute_in_process(
                instance=instance, partition_key=monday.isoformat(), raise_on_error=False, run_config=QUIET
            )

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with open_instance(self.settings) as instance:
            yield instance


def is_examples(asset: dg.AssetKey) -> bool:
    """Whether an asset is of the example; all checks of the others would be half of the time."""
    return any("damage" in part for part in asset.path)


def environment(settings: Settings) -> dict[str, str]:
    return {
        "ANALYTICS_HOME": str(settings.home),
        "ANALYTICS_HISTORY_START": str(settings.history_start),
        "ANALYTICS_EXTENSION_FOLDER": str(settings.extension_folder),
    }


def evaluations(results: Sequence[dg.ExecuteInProcessResult]) -> list[dg.AssetCheckEvaluation]:
    return [each for result in results for each in result.get_asset_check_evaluations()]


def checks_of(graph: Any, asset: dg.AssetKey) -> set[str]:
    return {key.name for key in graph.asset_check_keys if key.asset_key == asset}
