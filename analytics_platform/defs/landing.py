"""Landing: what has arrived, seen from the graph. Nothing here writes; the intake does.

Two observable assets stand at the head of the lineage, so that a reader who walks up from a dashboard ends at
what producers sent and at what was refused.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from analytics_platform.defs import keys
from analytics_platform.lake import layout
from analytics_platform.lake.store import ObjectInfo, ObjectStore


def landing_specs(upstream: Sequence[dg.AssetKey] = ()) -> list[dg.AssetSpec]:
    """The head of the lineage; before it are only the connectors that a deployment has."""
    return [
        dg.AssetSpec(
            keys.LANDING_EVENTS,
            deps=upstream,
            description="Accepted events as immutable NDJSON objects, one folder per business day and tenant.",
        ),
        dg.AssetSpec(
            keys.DEAD_LETTERS,
            deps=upstream,
            description="Messages that the gate refused, sealed byte for byte, with the reason; one folder per reason.",
        ),
    ]


def landing_assets(upstream: Sequence[dg.AssetKey] = ()) -> dg.AssetsDefinition:
    """Observe the newest object and the size of what lies in landing and among the dead letters."""

    @dg.multi_observable_source_asset(  # type: ignore[untyped-decorator]
        name="landing", specs=landing_specs(upstream), can_subset=True
    )
    def landing(context: dg.AssetExecutionContext, store: dg.ResourceParam[ObjectStore]) -> Iterator[dg.ObserveResult]:
        prefixes = {keys.LANDING_EVENTS: layout.LANDING_PREFIX, keys.DEAD_LETTERS: layout.DEAD_PREFIX}
        for key, prefix in prefixes.items():
            if key in context.selected_asset_keys:
                yield _observation(key, store.list(prefix))

    return landing  # type: ignore[no-any-return]


def _observation(key: dg.AssetKey, objects: list[ObjectInfo]) -> dg.ObserveResult:
    metadata: dict[str, dg.MetadataValue] = {
        "objects": dg.MetadataValue.int(len(objects)),
        "bytes": dg.MetadataValue.int(sum(each.size for each in objects)),
    }
    if objects:
        newest = max(each.modified_at for each in objects)
        metadata["newest_object_at"] = dg.MetadataValue.timestamp(newest)
    return dg.ObserveResult(asset_key=key, metadata=metadata)
