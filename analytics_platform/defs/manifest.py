"""dbt's manifest: what the asset graph knows of the models.

It is built ahead (`make manifest`, `analytics manifest`) and only read when the graph loads: parsing the project takes
seconds, and a code location must not depend on a warehouse to load. Where a deployment has an extension, the project is
put together of the platform's and the extension's files first, and a manifest of other files than there are is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics_platform.catalog import CatalogError, load_catalog
from analytics_platform.defs.dbt_build import DbtBuildError
from analytics_platform.defs.resources import dbt_from
from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings
from analytics_platform.warehouse.extended_models import model_problems
from analytics_platform.warehouse.extended_project import inputs_digest, note_digest, noted_digest, put_together


class ManifestMissingError(AnalyticsError):
    """The asset graph cannot be made without dbt's manifest."""


class ManifestStaleError(AnalyticsError):
    """The manifest is of other files than the extension has now."""


def manifest_path(settings: Settings) -> Path:
    """Where the manifest lies."""
    return settings.dbt_project / "target" / "manifest.json"


def build_manifest(settings: Settings, *, docs: bool = False) -> Path:
    """Parse the dbt project and write its manifest; with `docs`, also dbt's documentation site.

    Raises:
        CatalogError: the extension's declarations or files are broken.
        DbtBuildError: the project does not parse.
    """
    digest = _put_together(settings)
    dbt = dbt_from(settings)
    dbt.parse()
    if docs:
        dbt.docs()
    if digest is not None:
        _refuse_broken_models(settings)
        note_digest(settings.dbt_project, digest)
    return manifest_path(settings)


def _put_together(settings: Settings) -> str | None:
    """The project of a deployment with an extension; the digest of the files that it was made of."""
    if settings.extension_dbt is None:
        return None
    digest = _digest(settings)
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    try:
        settings.dbt_project.parent.mkdir(exist_ok=True)
        (settings.dbt_project.parent / ".gitignore").write_text("*\n", encoding="utf-8")  # of a folder that is made
        put_together(settings.dbt_project_dir, settings.extension_dbt, catalog, settings.dbt_project)
    except PermissionError as error:
        mend = "build the manifest where the folder can be written, as when an image is built"
        raise DbtBuildError(f"{error.filename}: cannot be written, and the dbt project goes there; {mend}") from error
    return digest


def _refuse_broken_models(settings: Settings) -> None:
    assert settings.extension_folder is not None
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    manifest = json.loads(manifest_path(settings).read_bytes())
    if problems := list(model_problems(manifest, catalog, settings.extension_folder)):
        raise CatalogError(problems)


def is_stale(settings: Settings) -> bool:
    """Whether the manifest is of other files than the extension and the platform have now."""
    return settings.extension_folder is not None and noted_digest(settings.dbt_project) != _digest(settings)


def _digest(settings: Settings) -> str:
    assert settings.extension_dbt is not None
    assert settings.extension_catalog is not None
    return inputs_digest(settings.dbt_project_dir, settings.extension_dbt, settings.extension_catalog)


def ensure_manifest(settings: Settings) -> None:
    """Build the manifest where there is none yet, or an extension has changed: for a command line's call.

    Never for a code location.

    Raises:
        CatalogError: the extension's declarations or files are broken.
        DbtBuildError: the project does not parse.
    """
    if not manifest_path(settings).exists() or is_stale(settings):
        build_manifest(settings)


def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """Read the manifest.

    Raises:
        ManifestMissingError: it was never built.
        ManifestStaleError: the extension has changed since.
    """
    path = manifest_path(settings)
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ManifestMissingError(
            f"{path} does not exist, and the asset graph is made from it; build it with `make manifest`, "
            "or with `analytics manifest` where there is no make"
        ) from error
    if is_stale(settings):
        raise ManifestStaleError(
            f"{path} is of other files than {settings.extension_folder} has now; build it with `analytics manifest`"
        )
    return manifest
