"""dbt's manifest: what the asset graph knows of the models.

It is built ahead (`make manifest`, `analytics manifest`) and only read when the graph loads: parsing the project takes
seconds, and a code location must not depend on a warehouse to load.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics_platform.defs.resources import dbt_from
from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings


class ManifestMissingError(AnalyticsError):
    """The asset graph cannot be made without dbt's manifest."""


def manifest_path(settings: Settings) -> Path:
    """Where the manifest lies."""
    return settings.dbt_project_dir / "target" / "manifest.json"


def build_manifest(settings: Settings, *, docs: bool = False) -> Path:
    """Parse the dbt project and write its manifest; with `docs`, also dbt's documentation site.

    Raises:
        DbtBuildError: the project does not parse.
    """
    dbt = dbt_from(settings)
    dbt.parse()
    if docs:
        dbt.docs()
    return manifest_path(settings)


def ensure_manifest(settings: Settings) -> None:
    """Build the manifest where there is none yet: for a command line's first call, never for a code location.

    Raises:
        DbtBuildError: the project does not parse.
    """
    if not manifest_path(settings).exists():
        build_manifest(settings)


def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """Read the manifest.

    Raises:
        ManifestMissingError: it was never built.
    """
    path = manifest_path(settings)
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ManifestMissingError(
            f"{path} does not exist, and the asset graph is made from it; build it with `make manifest`, "
            "or with `analytics manifest` where there is no make"
        ) from error
    return manifest
