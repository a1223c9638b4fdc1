"""What a deployment's extension adds to the graph, and what its tables are demanded and lack.

Belongs here: the one look at an extension as a whole, for `analytics extension check`. Each part is judged where it is
loaded (catalogue, dbt project, models, suites) and raises its own error.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.defs.instance import CODE_LOCATION
from analytics_platform.defs.manifest import ensure_manifest
from analytics_platform.defs.policies import dataset_name
from analytics_platform.settings import Settings
from asset_checks.demands import lacking

_PARTS = frozenset({"catalog", "dbt", "expectations"})


@dataclass(frozen=True)
class Added:
    """What an extension adds.

    Attributes:
        declared: names by kind, of the kinds that it adds to.
        assets: keys of its assets, as people write them.
        checks: how many checks hang on them.
        suites: datasets that its files of expectations speak of.
        lacking: checks that a tier demands of its tables and that are not there, as `asset: check`.
        not_read: folders in it that nobody reads.
    """

    declared: Mapping[str, list[str]]
    assets: list[str]
    checks: int
    suites: list[str]
    lacking: list[str]
    not_read: list[str]


def look_at_extension(settings: Settings) -> Added:
    """Load all that an extension has to do with, the graph included; the manifest is made anew where it has changed.

    Args:
        settings: of a deployment with an extension.

    Raises:
        CatalogError: a declaration, a file, a model or a suite is broken.
        DbtBuildError: the dbt project does not parse.
        UndeclaredDatasetError: an asset writes what the dataset registry does not know.
    """
    folder, suites = settings.extension_folder, settings.extension_suites
    assert folder is not None
    assert suites is not None
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    ensure_manifest(settings)
    declared = _declared(load_catalog(settings.tenants_file), catalog)
    checks = _checks_by_asset(settings)
    added = set(declared.get("datasets", ()))
    own = {asset: names for asset, names in checks.items() if dataset_name(asset) in added}
    return Added(
        declared=declared,
        assets=sorted(asset.to_user_string() for asset in own),
        checks=sum(map(len, own.values())),
        suites=sorted(path.stem for path in suites.glob("*.yaml")),
        lacking=lacking(catalog, checks),
        not_read=_not_read(folder),
    )


def _declared(without: Catalog, catalog: Catalog) -> dict[str, list[str]]:
    """Names that only the catalogue with the extension has, by kind."""
    kinds = {"events": (without.events, catalog.events)}
    for field in Catalog.model_fields:
        before, now = getattr(without, field), getattr(catalog, field)
        if isinstance(now, Mapping):
            kinds[field] = (before, now)
    found = {kind: [name for name in now if name not in before] for kind, (before, now) in kinds.items()}
    return {kind: names for kind, names in found.items() if names}


def _checks_by_asset(settings: Settings) -> dict[dg.AssetKey, Collection[str]]:
    graph = importlib.import_module(CODE_LOCATION).build_definitions(settings).resolve_asset_graph()
    names: dict[dg.AssetKey, set[str]] = defaultdict(set)
    for check in graph.asset_check_keys:
        names[check.asset_key].add(check.name)
    return {key: names[key] for key in graph.get_all_asset_keys()}


def _not_read(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[!.]*") if path.is_dir() and path.name not in _PARTS)
