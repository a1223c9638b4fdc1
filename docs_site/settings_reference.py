"""Every setting: its variable, type, default and meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from analytics_platform.settings import PREFIX, Settings
from docs_site.markdown import code, page, table


def settings_page() -> str:
    """The page of all settings."""
    lede = (
        f"By variable (`{PREFIX}…`), or by name in `settings.yaml` of the home folder; a variable wins. Lists and "
        "objects are written as JSON in a variable. A value that cannot be used is refused with its name and the mend."
    )
    properties = Settings.model_json_schema()["properties"]
    rows = (
        (code(PREFIX + name.upper()), _kind(properties[name]), _default(name), field.description or "")
        for name, field in Settings.model_fields.items()
    )
    return page("Settings", lede, table(["variable", "type", "default", "meaning"], rows))


def _kind(schema: dict[str, Any]) -> str:
    """A type in words that whoever writes the value can use."""
    kinds = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    return " or ".join(_named(each) for each in kinds)


def _named(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(code(each) for each in schema["enum"])
    if schema.get("writeOnly") or schema.get("format") == "password":
        return "secret"
    bounds = [
        f"from {schema['minimum']}" if "minimum" in schema else "",
        f"to {schema['maximum']}" if "maximum" in schema else "",
    ]
    return " ".join(filter(None, [schema.get("format") or schema.get("type", "object"), *bounds]))


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    is_of_this_machine = isinstance(field.default, Path) and field.default.is_absolute()
    if field.default_factory is not None or is_of_this_machine:
        return "see meaning"
    return "" if field.default in (None, PydanticUndefined, ()) else code(field.default)
