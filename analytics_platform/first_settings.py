"""The first settings of a deployment, written from answers: a file that says why each of its lines is there.

Belongs here: the text of the file, and that nothing which is there is replaced; the same answers again change nothing.
Stays out: asking (`cli.init`), and looking whether what was answered is so (`doctor`).
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from analytics_platform.catalog import CatalogError, load_catalog
from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import PREFIX, Settings, SettingsError, temporary_environment
from analytics_platform.settings_schema import secret_settings

SETTINGS_NAME, TENANTS_NAME = "settings.yaml", "tenants.yaml"
_WIDTH = 100
_WEEK = {weekday: {"opens": "09:00", "closes": "17:30"} for weekday in range(1, 6)}


class AlreadyThereError(AnalyticsError):
    """The deployment has a file that says something else than what was to be written."""


class UnusableAnswerError(AnalyticsError):
    """An answer cannot be used; the text is that of whoever reads it, and nothing was written."""


class SecretInFileError(AnalyticsError):
    """A secret was to be written into a file."""


def begin(home: Path, answers: Mapping[str, Any], tenant: Mapping[str, str] | None = None) -> Path:
    """Write a home's settings file, and its tenants file; both or neither. What is there and says the same stays.

    Args:
        home: its folder; made where it is not there.
        answers: settings by name, as YAML would give them; those that are None are left at their defaults.
        tenant: tenant_id, name, country, time_zone and currency of the first tenant.

    Raises:
        AlreadyThereError: one of them is there and says something else.
        SecretInFileError: an answer is a secret.
        UnusableAnswerError: an answer cannot be used.
    """
    _is_there(home / SETTINGS_NAME, _given(answers))
    is_new = not (home / TENANTS_NAME).exists()
    tenants = write_tenant(home, **tenant) if tenant else None
    try:
        return write_settings(home, answers)
    except AnalyticsError:
        if tenants and is_new:
            tenants.unlink()
        raise


def write_settings(home: Path, answers: Mapping[str, Any]) -> Path:
    """Write a home's settings file; one that says the same stays as it is.

    Args:
        home: its folder; made where it is not there.
        answers: settings by name, as YAML would give them; those that are None are left at their defaults.

    Raises:
        AlreadyThereError: it has one that says something else.
        SecretInFileError: an answer is a secret.
        UnusableAnswerError: an answer cannot be used.
    """
    chosen = _given(answers)
    if secrets := sorted(chosen.keys() & secret_settings()):
        variables = ", ".join(f"{PREFIX}{name.upper()}" for name in secrets)
        raise SecretInFileError(f"{', '.join(secrets)}: no file holds secrets; set {variables} instead")

    def is_usable(draft: Path) -> None:
        with temporary_environment({f"{PREFIX}SETTINGS_FILE": str(draft)}):
            Settings.from_environment()

    path = home / SETTINGS_NAME
    return path if _is_there(path, chosen) else _placed(path, settings_text(chosen), is_usable)


def settings_text(answers: Mapping[str, Any]) -> str:
    """The file: each setting below what it means."""
    blocks = [
        "# Settings of this deployment; a variable ANALYTICS_<NAME> wins over a line. Secrets are variables alone."
    ]
    for name, value in answers.items():
        field = Settings.model_fields.get(name)
        about = textwrap.wrap((field.description if field else None) or "", _WIDTH)
        blocks.append("".join(f"# {line}\n" for line in about) + _yaml({name: value}))
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


def write_tenant(home: Path, tenant_id: str, **declared: str) -> Path:
    """Write a tenants file with one tenant, who can send as soon as it is given a key; one with the same stays.

    Args:
        home: the deployment's folder.
        tenant_id: its id.
        declared: name, country, time_zone and currency.

    Raises:
        AlreadyThereError: there is such a file, and it says something else.
        UnusableAnswerError: it is not what a tenant is.
    """
    tenant = {tenant_id: {**declared, "financial_year_end": "12-31", "business_hours": _WEEK}}
    text = "# Tenants of this deployment, beside those of the catalogue.\n" + _yaml(tenant)
    path = home / TENANTS_NAME
    return path if _is_there(path, tenant) else _placed(path, text, lambda draft: load_catalog(draft))


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)


def _given(answers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answers.items() if value is not None}


def _is_there(path: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether a file says what was to be written; it may say more.

    Raises:
        AlreadyThereError: it says something else.
    """
    if not path.exists():
        return False
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError):
        said = None
    written = yaml.safe_load(_yaml(wanted))
    others = [name for name in written if not isinstance(said, dict) or said.get(name) != written[name]]
    if others:
        raise AlreadyThereError(
            f"{path} says something else of {', '.join(others)}, and is there already; edit it, or name another --home"
        )
    return True


def _placed(path: Path, text: str, is_usable: Callable[[Path], object]) -> Path:
    """Write a file whole, once it was found to be usable, in the place of nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{os.getpid()}-{path.name}")
    draft.write_text(text, encoding="utf-8")
    try:
        is_usable(draft)
        os.link(draft, path)
    except (SettingsError, CatalogError) as error:
        raise UnusableAnswerError(str(error).replace(str(draft), str(path))) from error
    except FileExistsError as error:
        raise AlreadyThereError(f"{path} was made meanwhile; look at it") from error
    finally:
        draft.unlink()
    return path
