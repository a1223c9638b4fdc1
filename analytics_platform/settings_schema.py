"""The settings as JSON Schema, as the Helm chart's values are held to it (`make generate` writes it into the chart).

A setting that a secret is in stands among the chart's secrets, by reference; one that follows from how the chart lays
out pods (folders, ports) is the chart's own and no value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analytics_platform.settings import PROJECT_ROOT, Settings

CHART = PROJECT_ROOT / "helm" / "analytics-platform"
SCHEMA = CHART / "values.schema.json"

SET_BY_CHART = frozenset(
    {
        "collector_host",
        "collector_port",
        "dagster_config_file",
        "dagster_postgres_password",
        "environment",
        "home",
        "identity_keys_file",
        "portal_host",
        "portal_port",
        "snowflake_private_key_file",
        "tenants_file",
        "write_keys_file",
    }
)
"""What the chart's templates give to the processes that they start; the database's password from its Secret."""

_WRITE_ONLY = '"writeOnly": true'
_MEANS_NOTHING_HERE = frozenset({"title", "default", "format", "writeOnly"})


def secret_settings() -> frozenset[str]:
    """The settings that are secrets, or hold some."""
    schema = Settings.model_json_schema()
    hidden = {name for name, each in schema.get("$defs", {}).items() if _WRITE_ONLY in json.dumps(each)}
    marks = (_WRITE_ONLY, *(f'"#/$defs/{name}"' for name in hidden))
    return frozenset(
        name for name, each in schema["properties"].items() if any(mark in json.dumps(each) for mark in marks)
    )


def settings_properties() -> dict[str, Any]:
    """The settings that are values of the chart, by name: what each may be, and its description."""
    declared = Settings.model_json_schema()["properties"]
    chosen = sorted(declared.keys() - SET_BY_CHART - secret_settings())
    return {name: _plain(declared[name]) for name in chosen}


def secret_properties() -> dict[str, Any]:
    """The settings that are secrets: each a reference to a key of a Secret, and none a value."""
    declared = Settings.model_json_schema()["properties"]
    return {
        name: {"$ref": "#/$defs/secretReference", "description": declared[name]["description"]}
        for name in sorted(secret_settings() - SET_BY_CHART)
    }


def with_settings(schema: dict[str, Any]) -> dict[str, Any]:
    """The chart's schema with the settings as they are now."""
    changed: dict[str, Any] = json.loads(json.dumps(schema))
    changed["properties"]["settings"]["properties"] = settings_properties()
    changed["properties"]["secrets"]["properties"]["settings"]["properties"] = secret_properties()
    return changed


def write_schema(path: Path = SCHEMA) -> None:
    """Bring the chart's schema up to date."""
    schema = with_settings(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _plain(declared: dict[str, Any]) -> dict[str, Any]:
    """Without what means nothing to Helm: titles, defaults (the code's), formats of strings."""
    plain = {key: value for key, value in declared.items() if key not in _MEANS_NOTHING_HERE}
    if "anyOf" in plain:
        plain["anyOf"] = [_plain(choice) for choice in plain["anyOf"]]
    if "items" in plain:
        plain["items"] = _plain(plain["items"])
    return plain


if __name__ == "__main__":
    write_schema()
