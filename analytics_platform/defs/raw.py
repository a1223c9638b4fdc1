"""raw/<stream>: one Parquet object per stream, day and tenant, made from landing.

A partition is a function of what exists, so it may be built again in any order; late events make exactly their
(day, tenant) stale. How landing becomes Parquet is the lake's business; the sealed identifiers that landed with the
messages go to the identities table.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from analytics_platform.catalog import Catalog, Stream
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions, parse_raw_key
from analytics_platform.governance.retention.holds import Holds
from analytics_platform.governance.retention.lock import refuse_while_removing
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.screening import screen
from analytics_platform.identities.suppression import read_suppressions
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.lake.raw import RawPartition, Screen, build_partitions
from analytics_platform.lake.store import ObjectStore


def raw_assets(catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    """All streams in one step: a landing object holds every stream, so it is read once for all of them."""

    @dg.multi_asset(
        name="raw",
        specs=[_spec(stream) for stream in catalog.streams.values()],
        partitions_def=partitions.day_tenant,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def raw(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        identity_keys: dg.ResourceParam[IdentityKeys],
    ) -> Iterator[dg.MaterializeResult[None]]:
        streams = [name for name in catalog.streams if keys.raw(name) in context.selected_asset_keys]
        wanted = sorted(parse_raw_key(key) for key in context.partition_keys)
        now = datetime.now(UTC)
        refuse_while_removing(store, wanted[0][0], now)
        screened = screen_of_erased(store, identity_keys, catalog, now)
        table = IdentitiesTable(store, identity_keys)
        built = build_partitions(store, streams=streams, partitions=wanted, identifiers=table.take, screen=screened)
        by_stream: dict[str, list[RawPartition]] = defaultdict(list)
        for partition in built:
            by_stream[partition.stream].append(partition)
        for stream in streams:
            yield dg.MaterializeResult(asset_key=keys.raw(stream), metadata=_metadata(by_stream[stream]))

    return raw


def screen_of_erased(store: ObjectStore, identity_keys: IdentityKeys, catalog: Catalog, now: datetime) -> Screen:
    """Keeps the erased out of raw, as their streams' classes say, but for days that a legal hold keeps as they are."""
    classes = {name: catalog.retention_classes[stream.retention_class] for name, stream in catalog.streams.items()}
    holds = Holds(store).in_force(now.date())
    return screen(
        identity_keys,
        read_suppressions(store),
        severs=lambda stream: classes[stream].on_erasure == "sever",
        kept=lambda stream, tenant, day: any(
            span.holds(day) for hold in holds if (span := hold.span(f"raw.{stream}", tenant))
        ),
    )


def _spec(stream: Stream) -> dg.AssetSpec:
    return dg.AssetSpec(
        keys.raw(stream.name),
        deps=[keys.LANDING_EVENTS],
        description=f"{stream.description} De-duplicated, typed, one Parquet object per day and tenant.",
    )


def _metadata(built: Sequence[RawPartition]) -> dict[str, int]:
    """What the run found over all its partitions of a stream.

    Row counts of single partitions stand in the ledger. Dagster could put them on each materialization
    (`add_asset_metadata`), but it lists the run's whole range anew for each: 10,000 partitions took minutes.
    """
    return {
        "partitions": len(built),
        "partitions_changed": sum(partition.changed for partition in built),
        "landed": sum(partition.landed for partition in built),
        "accepted": sum(partition.accepted for partition in built),
        "duplicates": sum(partition.duplicates for partition in built),
        "id_conflicts": sum(partition.conflicts for partition in built),
        "bytes": sum(partition.bytes for partition in built),
    }
