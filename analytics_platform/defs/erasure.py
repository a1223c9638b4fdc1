"""governance/erasure: which places a deployment has that hold people, and the asset that carries requests out.

Belongs here: the places and what follows from an erasure elsewhere, the daily asset and its table. Stays out: how a
person is found, erased and searched for (`governance.erasure`), and the checks (`asset_checks.erasure`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.defs import keys
from analytics_platform.defs.ledger import LEDGER_TABLE
from analytics_platform.defs.loaded import stream_table
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.defs.raw import screen_of_erased
from analytics_platform.defs.resources import identity_keys_from, store_from, warehouse_from
from analytics_platform.defs.retention import extract_datasets, home_places, page_families, run_logs
from analytics_platform.defs.run_records import databases_of
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.erasure import portal_record
from analytics_platform.governance.erasure.copies import AudienceCopies
from analytics_platform.governance.erasure.database import DatabaseTexts
from analytics_platform.governance.erasure.desk import ErasureDesk
from analytics_platform.governance.erasure.files import HomeFiles, refuse_unshipped, written_on
from analytics_platform.governance.erasure.lake import (
    DeadLetterObjects,
    ExtractObjects,
    IdentityObjects,
    PageObjects,
    RawObjects,
)
from analytics_platform.governance.erasure.landing import LandingObjects
from analytics_platform.governance.erasure.place import Place
from analytics_platform.governance.erasure.portal_record import PortalRecord
from analytics_platform.governance.erasure.receipt import Purging, Receipt, receipt_of
from analytics_platform.governance.erasure.records import SUFFIXES, SqliteFiles, dataset_of
from analytics_platform.governance.erasure.requests import ErasureRequest
from analytics_platform.governance.erasure.survivors import Named, Search
from analytics_platform.governance.erasure.tables import WarehouseRows
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.lake.changes import stale_partitions
from analytics_platform.lake.ledger import ledger_rows
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse, has_table

_MOMENT = pa.timestamp("us", tz="UTC")

ERASURES_TABLE = "ops.erasures"
ERASURES_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32()),
        pa.field("request_id", pa.string()),
        pa.field("tenant_id", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("state", pa.string()),
        pa.field("requested_by", pa.string()),
        pa.field("requested_at", _MOMENT),
        pa.field("answer_due_on", pa.date32()),
        pa.field("approved_by", pa.string()),
        pa.field("approved_at", _MOMENT),
        pa.field("verified_at", _MOMENT),
        pa.field("deleted", pa.int64()),
        pa.field("severed", pa.int64()),
        pa.field("held", pa.int64()),
        pa.field("physically_purged_by", pa.date32()),
        pa.field("final_erasure_on", pa.date32()),
    ]
)

_OF_NO_DAY = frozenset({"spool", "access_files", "backups"})
"""Files of the home that any hold keeps: they are shipped, made anew, or erased when they are restored."""

_NOT_BY_FILE = _OF_NO_DAY | {portal_record.DATASET}
"""Files of the home that are erased by a way of their own; of the portal's record lines are severed."""

_KEPT_BY_PRODUCT: Mapping[str, tuple[int, int]] = {"bigquery": (7 + 7, 2 + 7)}
"""Days for which a product keeps deleted rows where nobody has said it, and at least: time travel, then Fail-safe.

BigQuery's time travel is seven days where a dataset says nothing, and two at least. Snowflake's tables are transient
here, without Fail-safe, and have the time travel that is set (`warehouse.snowflake`).
"""

EXECUTOR = "dagster"
"""Who carries out what somebody has approved."""

_SQLITE = (("alerts", "alert_outbox"), ("portal", "portal_state"), ("", "run_records"))
"""Datasets of the SQLite files of a home folder, by how their path begins; the first that fits."""


def erasure_desk(
    settings: Settings,
    *,
    catalog: Catalog | None = None,
    store: ObjectStore | None = None,
    warehouse: Warehouse | None = None,
    identity_keys: IdentityKeys | None = None,
) -> ErasureDesk:
    """Erasure over every place of a deployment.

    Args:
        settings: the deployment.
        catalog: what is declared; by default the deployment's.
        store: its lake, where it is open already.
        warehouse: its warehouse, where it is open already.
        identity_keys: its tenants' keys, where they are open already.
    """
    catalog = catalog or load_catalog(settings.tenants_file, settings.extension_catalog)
    store, warehouse = store or store_from(settings), warehouse or warehouse_from(settings)
    identity_keys = identity_keys or identity_keys_from(settings)
    return ErasureDesk(
        catalog,
        store,
        identity_keys,
        places_of(settings, catalog, store, warehouse, identity_keys),
        search_of(settings, catalog, store, warehouse, identity_keys),
        fresh=partial(_build_what_landed, store, catalog, identity_keys),
        ready=partial(refuse_unshipped, settings.spool_root),
        settle=partial(settle_erasure, store, warehouse),
    )


def purging_of(settings: Settings) -> Purging:
    """How long a deployment's places keep what was deleted; never less than the warehouse's product does by itself."""
    said = settings.deleted_rows_kept_days
    unsaid, least = _KEPT_BY_PRODUCT.get(settings.warehouse, (0, 0))
    return Purging(max(said, least) if said else unsaid, settings.deleted_objects_kept_days)


def erasure_asset(settings: Settings, catalog: Catalog) -> dg.AssetsDefinition:
    """The daily run of what was approved, and how all requests stand."""

    @dg.asset(
        key=keys.ERASURE,
        deps=[keys.RETENTION_SWEEP],
        pool=WAREHOUSE_POOL,
        description="Carries out the erasures that were approved; the table says how every request stands.",
        metadata={"dagster/table_name": ERASURES_TABLE},
    )
    def erasure(
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
        identity_keys: dg.ResourceParam[IdentityKeys],
    ) -> dg.MaterializeResult[None]:
        desk = erasure_desk(settings, catalog=catalog, store=store, warehouse=warehouse, identity_keys=identity_keys)
        now = datetime.now(UTC)
        problems = {each.request_id: _problem(desk, each) for each in desk.approved(now)}
        receipts = receipts_of(desk, settings, catalog, now)
        rows = pa.Table.from_pylist([_row(each) for each in receipts], ERASURES_SCHEMA)
        waiting = [each.request.request_id for each in receipts if each.state == "pending"]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": warehouse.replace_table(ERASURES_TABLE, rows),
                "carried_out": dg.MetadataValue.json([name for name, problem in problems.items() if not problem]),
                "not_carried_out": dg.MetadataValue.json({n: problem for n, problem in problems.items() if problem}),
                "waiting_for_approval": dg.MetadataValue.json(waiting),
            }
        )

    return erasure


def receipts_of(desk: ErasureDesk, settings: Settings, catalog: Catalog, now: datetime) -> list[Receipt]:
    """The receipt of every request as it stands."""
    purging, record = purging_of(settings), desk.requests.record()
    return [receipt_of(desk.requests, each, catalog, purging, now, record) for each in desk.requests.all()]


def _problem(desk: ErasureDesk, request: ErasureRequest) -> str:
    """Run an erasure; what stands in its way is told, and the checks judge whether that may last."""
    try:
        desk.run(request, by=EXECUTOR)
    except AnalyticsError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _row(receipt: Receipt) -> dict[str, object]:
    request = receipt.request
    return {
        "day": request.requested_at.date(),
        "request_id": request.request_id,
        "tenant_id": request.tenant,
        "subject": request.subject,
        "state": receipt.state,
        "requested_by": request.requested_by,
        "requested_at": request.requested_at,
        "answer_due_on": receipt.answer_due_on,
        "approved_by": receipt.approved_by,
        "approved_at": receipt.approved_at,
        "verified_at": receipt.verified_at,
        "deleted": receipt.units("deleted"),
        "severed": receipt.units("severed"),
        "held": receipt.units("held"),
        "physically_purged_by": receipt.physically_purged_by,
        "final_erasure_on": receipt.final_erasure_on,
    }


def lake_places(catalog: Catalog, store: ObjectStore, identity_keys: IdentityKeys) -> list[Place]:
    """The places of a lake in which a person's own data lies, in the order in which they are erased."""
    return [
        LandingObjects(store, identity_keys, list(catalog.streams), partial(_build, store, catalog, identity_keys)),
        RawObjects(store, catalog),
        DeadLetterObjects(store, identity_keys),
        IdentityObjects(store),
        ExtractObjects(store, catalog, extract_datasets(catalog)),
    ]


def search_of(
    settings: Settings, catalog: Catalog, store: ObjectStore, warehouse: Warehouse, identity_keys: IdentityKeys
) -> Search:
    """The search over every place of a deployment."""
    return Search(
        catalog,
        store,
        warehouse,
        identity_keys,
        home=settings.home,
        lake=settings.lake_root,
        backups=settings.backups_folder,
        named=_naming(settings),
        records=dict(databases_of(settings)),
    )


def places_of(
    settings: Settings, catalog: Catalog, store: ObjectStore, warehouse: Warehouse, identity_keys: IdentityKeys
) -> list[Place]:
    """Every place of a deployment that holds people, in the order in which they are erased."""

    def load(stream: str, day: date) -> None:
        warehouse.replace_days(stream_table(stream), scan(store, stream, day, day), day, day)

    zone, of_home = ZoneInfo(settings.reporting_time_zone), home_places(settings)
    return [
        *lake_places(catalog, store, identity_keys),
        PageObjects(store, [*page_families(catalog, zone), run_logs(zone)], list(catalog.tenants)),
        WarehouseRows(warehouse, catalog, load),
        AudienceCopies(settings.access_root),
        SqliteFiles(settings.home, _SQLITE),
        *(DatabaseTexts(dataset, url) for dataset, url in databases_of(settings)),
        PortalRecord(of_home[portal_record.DATASET]),
        HomeFiles({name: places for name, places in of_home.items() if name not in _NOT_BY_FILE}),
    ]


def _naming(settings: Settings) -> Callable[[Path], Named | None]:
    """By which dataset and day a hold can name a file of the home, as the places above do."""
    places = [(dataset, place) for dataset, every in home_places(settings).items() for place in every]

    def named(path: Path) -> Named | None:
        if path.suffix.startswith(SUFFIXES):  # a journal beside a file too
            return dataset_of(path, settings.home, _SQLITE), None
        for dataset, place in places:
            if path.is_relative_to(place.folder) and path.match(place.pattern):
                return dataset, None if dataset in _OF_NO_DAY else written_on(path)
        return None

    return named


def _build_what_landed(store: ObjectStore, catalog: Catalog, identity_keys: IdentityKeys, tenant: str) -> None:
    stale = stale_partitions(store, streams=list(catalog.streams))
    _build(store, catalog, identity_keys, [(day, of) for day, of in stale if of == tenant])


def _build(
    store: ObjectStore, catalog: Catalog, identity_keys: IdentityKeys, partitions: Sequence[tuple[date, str]]
) -> None:
    screened = screen_of_erased(store, identity_keys, catalog, datetime.now(UTC))
    take = IdentitiesTable(store, identity_keys).take
    build_partitions(store, streams=list(catalog.streams), partitions=partitions, identifiers=take, screen=screened)


def settle_erasure(store: ObjectStore, warehouse: Warehouse, first: date, last: date) -> None:
    """Bring the ledger's table in line with the lake, and the warehouse's file rid of what was deleted."""
    if first <= last and has_table(warehouse, LEDGER_TABLE):
        warehouse.replace_days(LEDGER_TABLE, ledger_rows(store, first, last), first, last)
    warehouse.purge()
