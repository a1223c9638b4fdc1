"""Which checks a dataset must have, by what the catalogue declares, and which of them it lacks.

Pure: names of checks by asset go in. A test holds the graph to it, so that a check that is dropped, or an asset that
comes without, does not pass.
"""

from collections.abc import Collection, Iterator, Mapping

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.governance import AssetLayer, pattern_covers
from analytics_platform.defs import keys
from analytics_platform.defs.policies import dataset_name
from asset_checks.limits import WITHIN
from asset_checks.references import references_of
from asset_checks.streams import HOURS, REFERENCES


def lacking(catalog: Catalog, checks: Mapping[dg.AssetKey, Collection[str]]) -> list[str]:
    """What is demanded and not there, as `asset: check`.

    Args:
        catalog: declares the demands of tiers by layer, of datasets, and what else calls for a check.
        checks: names of the checks of every asset, of those without any too.
    """
    by_asset = [
        f"{asset.to_user_string()}: {demand}"
        for asset in sorted(checks, key=lambda key: key.path)
        for demand in demands_of_asset(catalog, asset)
        if not _has(checks[asset], demand)
    ]
    return by_asset + [
        f"{dataset}: {demand}"
        for dataset, demand in _demands_of_datasets(catalog)
        if not _has([name for asset in checks if dataset_name(asset) == dataset for name in checks[asset]], demand)
    ]


def demands_of_asset(catalog: Catalog, asset: dg.AssetKey) -> tuple[str, ...]:
    """What the tier of an asset's dataset demands in its layer."""
    tier = catalog.datasets[dataset_name(asset)].sla_tier
    return () if tier is None else catalog.sla_tiers[tier].demands.get(asset_layer(asset), ())


def asset_layer(asset: dg.AssetKey) -> AssetLayer:
    """The layer of an asset as demands name it."""
    if keys.layer(asset) == "loaded" and asset.path[-1] in keys.REGISTRY_TABLES:
        return "registry"
    layer: AssetLayer = keys.layer(asset)  # type: ignore[assignment]
    return layer


def _demands_of_datasets(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """What a dataset demands beside its tier: by its own declaration, or because something about it is declared."""
    for dataset in catalog.datasets.values():
        yield from ((dataset.name, demand) for demand in dataset.demands)
    yield from ((table, WITHIN.name) for table in catalog.value_limits)
    for stream in catalog.streams:
        if catalog.stream_quality[stream].busy_hours:
            yield f"raw.{stream}", HOURS.name
        if references_of(catalog, stream):
            yield f"raw.{stream}", REFERENCES.name


def _has(names: Collection[str], demand: str) -> bool:
    return any(pattern_covers(demand, name) for name in names)
