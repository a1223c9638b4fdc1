"""dbt's manifest: whether it was built, from the project as it is now, for the warehouse that is chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analytics_platform.defs.manifest import ManifestMissingError, ManifestStaleError, load_manifest, manifest_path
from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, warn
from analytics_platform.settings import Settings

_BUILD = "build it: `analytics manifest`, or `make manifest`"
_AGAIN = "build it again: `analytics manifest`, or `make manifest`"
_SHOWN = 3
_HASHED = {"model": ".sql", "seed": ".csv"}
"""Files that the manifest knows by the hash of their text."""

_BY_TIME = ("dbt_project.yml", "macros/**/*.sql", "models/**/*.yml", "seeds/**/*.yml")
"""Files that it has read and knows no hash of."""


def look(deployment: Deployment) -> Iterator[Finding]:
    """The manifest against the files that it was made from."""
    settings = deployment.settings
    try:
        manifest = load_manifest(settings)
    except ManifestMissingError:
        yield fail("manifest", f"{manifest_path(settings)} is not there: the asset graph cannot load", _BUILD)
        return
    except ManifestStaleError:
        yield fail("manifest", f"it is of other files than {settings.extension_folder} has now", _AGAIN)
        return
    except ValueError:
        yield fail("manifest", f"{manifest_path(settings)} is no JSON", _AGAIN)
        return
    yield from _findings(settings, manifest)


def _findings(settings: Settings, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    about = manifest["metadata"]
    if about.get("adapter_type") != settings.warehouse:
        found = f"it was built for {about.get('adapter_type')}, and warehouse is {settings.warehouse}"
        yield warn("manifest", found, _AGAIN)
    changed = sorted(_changed(settings.dbt_project, manifest))
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        found = f"it is of another state than {', '.join(changed[:_SHOWN])}{more}"
        yield fail("manifest", found, _AGAIN)
        return
    if newer := sorted(_newer(settings.dbt_project, about["generated_at"])):
        yield warn("manifest", f"{', '.join(newer[:_SHOWN])} was written after it", _AGAIN)
        return
    yield ok("manifest", f"of the project as it is, by dbt {about['dbt_version']}")


def _changed(project: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Models and seeds whose text is another, that are new, or gone."""
    known = {
        node["original_file_path"]: node["checksum"]["checksum"]
        for node in manifest["nodes"].values()
        if node["resource_type"] in _HASHED
    }
    there = {
        str(path.relative_to(project)): path
        for folder, ending in (("models", ".sql"), ("seeds", ".csv"))
        for path in (project / folder).rglob(f"*{ending}")
    }
    yield from known.keys() ^ there.keys()
    yield from (name for name in known.keys() & there.keys() if _hash(there[name]) != known[name])


def _hash(path: Path) -> str:
    """As dbt makes it: of the text without white space at its ends."""
    return hashlib.sha256(path.read_text(encoding="utf-8").strip().encode()).hexdigest()


def _newer(project: Path, generated_at: str) -> Iterator[str]:
    made = datetime.fromisoformat(generated_at)
    for pattern in _BY_TIME:
        for path in project.glob(pattern):
            if datetime.fromtimestamp(path.stat().st_mtime, UTC) > made:
                yield str(path.relative_to(project))
