"""What is declared and what was built from it: catalogue, tenants, write keys, dbt's manifest."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from examined import deployment, the_one, told

from analytics_platform.catalog import load_catalog
from analytics_platform.doctor import declared, manifest
from analytics_platform.intake.key_registry import KeyRegistry
from analytics_platform.settings import PROJECT_ROOT


def tenants_file(folder: Path, **tenants: Any) -> Path:
    path = folder / "tenants.yaml"
    path.write_text(yaml.safe_dump(tenants))
    return path


def like_another(**changes: Any) -> dict[str, Any]:
    path = PROJECT_ROOT / "analytics_platform" / "catalog" / "tenants" / "delta-events.yaml"
    declared = yaml.safe_load(path.read_text())
    del declared["tenant_id"]
    return {**declared, "write_keys": {}, **changes}


def test_the_shipped_catalogue_passes(tmp_path: Path) -> None:
    assert told(declared.look(deployment(tmp_path))) == []


def test_a_tenant_for_whom_nobody_can_send_is_told_with_the_command(tmp_path: Path) -> None:
    found = the_one(declared.look(deployment(tmp_path, tenants_file=tenants_file(tmp_path, oost=like_another()))))
    assert (found.looked_at, found.mend) == ("write keys", "analytics keys create oost NAME --kind server")


def test_each_problem_of_a_tenants_file_is_a_finding(tmp_path: Path) -> None:
    file = tenants_file(tmp_path, oost=like_another(time_zone="Mars/Base"), west=like_another(currency="guilders"))
    found = list(declared.look(deployment(tmp_path, tenants_file=file)))
    assert [each.outcome for each in found] == ["fail", "fail"]
    assert all(each.mend for each in found)
    assert "oost.time_zone" in found[0].found


def test_a_tenants_file_without_tenants_is_told(tmp_path: Path) -> None:
    file = tenants_file(tmp_path)
    assert "declares no tenant" in the_one(declared.look(deployment(tmp_path, tenants_file=file))).found


def test_more_partitions_than_the_ui_bears_are_told(tmp_path: Path) -> None:
    found = the_one(declared.look(deployment(tmp_path, history_start=date(1950, 1, 1))))
    assert found.looked_at == "partitions"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the dbt project, with its manifest."""
    copy = tmp_path / "dbt"
    shutil.copytree(PROJECT_ROOT / "dbt", copy, ignore=shutil.ignore_patterns("partial_parse*", "logs"))
    path = copy / "target" / "manifest.json"
    built = json.loads(path.read_bytes())
    built["metadata"]["generated_at"] = (datetime.now(UTC) + timedelta(seconds=5)).isoformat().replace("+00:00", "Z")
    path.write_text(json.dumps(built))
    return copy


def look_at_manifest(project: Path, **choices: Any) -> list[str]:
    return told(manifest.look(deployment(project.parent / "home", dbt_project_dir=project, **choices)))


def test_a_manifest_of_the_project_as_it_is_passes(project: Path) -> None:
    assert look_at_manifest(project) == []


def test_a_model_that_has_changed_is_new_or_gone_makes_it_stale(project: Path) -> None:
    changed, gone, *_ = sorted((project / "models").rglob("*.sql"))
    changed.write_text(changed.read_text() + "-- more")
    gone.unlink()
    (project / "models" / "new.sql").write_text("select 1")
    (found,) = look_at_manifest(project)
    assert all(str(path.relative_to(project)) in found for path in (changed, gone, project / "models" / "new.sql"))


def test_white_space_at_the_end_makes_no_other_model(project: Path) -> None:
    model = min((project / "models").rglob("*.sql"))
    model.write_text(model.read_text() + "\n\n")
    assert look_at_manifest(project) == []


def test_a_macro_that_was_written_later_is_told(project: Path) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=1)).timestamp()
    macro = min((project / "macros").rglob("*.sql"))
    os.utime(macro, (later, later))
    (found,) = look_at_manifest(project)
    assert found == f"warn manifest: {macro.relative_to(project)} was written after it"


def test_a_manifest_that_is_missing_broken_or_for_another_warehouse_is_told(project: Path) -> None:
    path = project / "target" / "manifest.json"
    built = json.loads(path.read_bytes())
    built["metadata"]["adapter_type"] = "snowflake"
    path.write_text(json.dumps(built))
    assert look_at_manifest(project) == ["warn manifest: it was built for snowflake, and warehouse is duckdb"]
    path.write_text("{")
    assert "is no JSON" in look_at_manifest(project)[0]
    path.unlink()
    assert "is not there" in look_at_manifest(project)[0]


def test_keys_that_anybody_can_read_fail_in_production_until_they_are_revoked(tmp_path: Path) -> None:
    found = told(declared.look(deployment(tmp_path, environment="production")))
    assert found == ["fail write keys: 20 of the demo are valid: whoever has read its files can send for its tenants"]
    registry = KeyRegistry(load_catalog(), tmp_path / "write_keys.yaml")
    for tenant in load_catalog().tenants.values():
        for key in tenant.write_keys:
            registry.revoke(tenant.tenant_id, key.name, now=datetime.now(UTC))
    (left,) = told(declared.look(deployment(tmp_path, environment="production")))
    assert left.startswith("warn write keys: without one")
