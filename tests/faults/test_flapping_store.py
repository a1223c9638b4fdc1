"""A bucket behind foul weather: what is imported, shipped, built and published through it is what a calm one holds.

Faults that a client's own retries outlast are not seen; what they do not outlast is tried again by whoever comes next,
as a shipper, an importer's user or the next run does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import pyarrow.compute as pc
import pytest
from intake_messages import OTHER_TENANT, TENANT, flow_step, write
from known_keys import KEYS
from moto.server import ThreadedMotoServer
from stages import FIRST, LAST, NOW, STREAMS
from weather import DOWN, FOUL, StoreProxy, Weather, store_proxy

from analytics_platform.catalog import Catalog
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.collector.spool import Spool, SpoolLimits
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.importer import import_paths
from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.cache import ObjectCache
from analytics_platform.lake.changes import landed_partitions, stale_partitions
from analytics_platform.lake.extract_audit import audit
from analytics_platform.lake.extract_manifest import Schema, Table, columns_of
from analytics_platform.lake.extracts import Stamp, parquet_bytes, publish, put_part
from analytics_platform.lake.layout import MANIFEST_PREFIX
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.s3 import S3Store
from analytics_platform.lake.store import LocalStore, ObjectStore, StoreUnavailableError

pytestmark = pytest.mark.integration

ATTEMPTS = 60


@pytest.fixture(scope="module")
def s3_server() -> Iterator[tuple[str, int]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def proxy(s3_server: tuple[str, int], fault_seed: int) -> Iterator[StoreProxy]:
    with store_proxy(*s3_server, fault_seed) as running:
        yield running


@pytest.fixture
def bucket(proxy: StoreProxy, s3_server: tuple[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Store:
    for name, value in {
        "ACCESS_KEY_ID": "testing",
        "SECRET_ACCESS_KEY": "testing",
        "DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    # Repeating requests is tested, waiting for real is not.
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setattr("analytics_platform.lake.s3._ATTEMPTS", 2)
    name = f"lake-{abs(hash(tmp_path)) % 10**9}"
    host, port = s3_server
    straight = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="eu-west-1")
    straight.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return S3Store(
        name, "pre/fix", S3Options(proxy.url, "eu-west-1", path_style=True), ObjectCache(tmp_path / "cache", 1 << 20)
    )


def until_it_went(act: Callable[[], object]) -> int:
    """Do it again until the store has let it; how often it took."""
    for attempt in range(1, ATTEMPTS):
        try:
            act()
        except StoreUnavailableError:
            continue
        return attempt
    raise AssertionError("the store never let it")


def messages() -> list[dict[str, object]]:
    return [
        flow_step(f"m-{n}", f"2026-01-{1 + n % 4:02d}T10:00:{n:02d}Z", (TENANT, OTHER_TENANT)[n % 2]) for n in range(40)
    ]


def bring_in(store: ObjectStore, catalog: Catalog, path: Path) -> None:
    import_paths([path], catalog=catalog, store=store, identities=KEYS, now=NOW)


def build(store: ObjectStore) -> None:
    build_partitions(store, streams=STREAMS, partitions=landed_partitions(store))


def put_extract(store: ObjectStore) -> None:
    rows = scan(store, "product", FIRST, LAST).read_all().select(["day", "tenant_id", "message_id"])
    days = sorted(set(rows["day"].to_pylist()))
    bodies = {day: parquet_bytes(rows.filter(pc.equal(rows["day"], day))) for day in days}
    parts = {day: put_part(store, "product", "usage", day, body, 1) for day, body in bodies.items()}
    table = Table(Schema(1, "day", columns_of(rows.schema)), (), parts)
    publish(store, "product", lambda _: {"usage": table}, Stamp(NOW, "run", "0" * 64))


def contents(store: ObjectStore) -> dict[str, bytes]:
    """Everything but the accounts of imports, of which a second attempt gives another."""
    return {info.key: store.get(info.key) for info in store.list("") if not info.key.startswith(MANIFEST_PREFIX)}


def test_what_goes_through_foul_weather_is_what_a_calm_store_holds(
    bucket: S3Store,
    proxy: StoreProxy,
    catalog: Catalog,
    rounds: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    path = write(tmp_path / "in.ndjson", *messages(), *messages()[:5], {"type": "track"})
    calm = LocalStore(tmp_path / "calm")
    stages: list[Callable[[ObjectStore], None]] = [lambda store: bring_in(store, catalog, path), build, put_extract]
    for stage in stages:
        stage(calm)

    proxy.weather = FOUL
    attempts = [until_it_went(lambda stage=stage: stage(bucket)) for stage in stages]  # type: ignore[misc]
    for _ in range(rounds // 40):
        attempts += [until_it_went(lambda stage=stage: stage(bucket)) for stage in stages]  # type: ignore[misc]
    proxy.weather = Weather()

    assert contents(bucket) == contents(calm)
    assert unbalanced(ledger_rows(bucket, FIRST, LAST)).num_rows == 0
    assert stale_partitions(bucket, FIRST, LAST, streams=STREAMS) == []
    assert [each.problems for each in audit(bucket, "product", NOW).values()] == [()]
    assert sum(attempts) > len(attempts), "no fault was seen beyond the client's own retries"
    record_property("rounds", f"{sum(attempts)} attempts through {dict(sorted(proxy.played.items()))}")


def test_a_spool_is_emptied_into_a_store_that_flaps_and_goes_away(
    bucket: S3Store, proxy: StoreProxy, catalog: Catalog, tmp_path: Path
) -> None:
    gate = Gate(catalog, identities=KEYS, suppressed=Suppressions)
    path = write(tmp_path / "in.ndjson", *messages())
    outcomes = [gate.admit(line, received_at=NOW) for line in path.read_bytes().splitlines()]
    spool = Spool.open(tmp_path / "spool", "collector0a", SpoolLimits(3_000, min_free_bytes=0), clock=lambda: NOW)
    shipper = Shipper(spool, bucket, clock=lambda: NOW)
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, Admitted)
        asyncio.run(spool.commit([outcome]))
        if number % 10 == 9:
            proxy.weather = DOWN if number == 19 else FOUL
            with suppress(StoreUnavailableError):
                shipper.ship_waiting()
                assert proxy.weather is not DOWN
    spool.drain()
    proxy.weather = FOUL
    until_it_went(lambda: shipper.ship_waiting(final=True))
    proxy.weather = Weather()
    spool.close()

    build(bucket)
    rows = scan(bucket, "product", FIRST, LAST).read_all()
    assert sorted(rows["message_id"].to_pylist()) == sorted(f"m-{n}" for n in range(40))
    assert unbalanced(ledger_rows(bucket, FIRST, LAST)).num_rows == 0
    assert sorted(each.name for each in (tmp_path / "spool").iterdir() if each.suffix) == []
