"""The collector as a service: its parts put together from the settings, started in order and stopped in the other.

Start: the store is probed, the spool is taken and recovers what an earlier process left, shipping begins, requests are
taken. Stop: no new connections, requests that are under way are answered, the spool is closed, what it holds is
shipped, the spool's lock is let go.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from analytics_platform.catalog import load_catalog
from analytics_platform.http_service import Server, listen, serve_until_told, server_config, url_of
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.suppression import read_suppressions
from analytics_platform.intake.collector.app import create_app
from analytics_platform.intake.collector.limits import RequestLimits
from analytics_platform.intake.collector.metrics import Metrics, TimedDisk
from analytics_platform.intake.collector.probe import probe_conditional_puts
from analytics_platform.intake.collector.reception import Collector
from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.collector.spool import Spool, SpoolLimits
from analytics_platform.intake.collector.webhook import WebhookSource
from analytics_platform.intake.collector.writers import writer_of
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.write_keys import WriteKeys
from analytics_platform.lake.recent import Recent
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings

_log = structlog.get_logger("collector")


@dataclass(frozen=True, slots=True)
class Parts:
    """A collector and what is behind it."""

    collector: Collector
    spool: Spool
    shipper: Shipper


class RunningCollector:
    """A collector in a thread of this process: for tests, and for programs that bring their own main loop.

    Args:
        settings: as for `serve_collector`.
        store: the lake.
        host: address.
        port: 0 takes a free one.
    """

    def __init__(self, settings: Settings, store: ObjectStore, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = listen(host, port)
        self.url = url_of(self._listener)
        try:
            self.parts = _started(settings, store)
        except BaseException:
            self._listener.close()
            raise
        self._server = Server(server_config(create_app(self.parts.collector)))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), name="collector")
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, ship everything, let go of the spool."""
        self._server.should_exit = True
        self._thread.join()
        _stopped(self.parts)


def serve_collector(
    settings: Settings,
    store: ObjectStore,
    host: str,
    port: int,
    *,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Take events in until SIGTERM or SIGINT; returns when everything is shipped or the store did not let it.

    Args:
        settings: the deployment's choices.
        store: the lake.
        host: address to listen on.
        port: 0 takes a free one.
        on_listening: told the URL once requests are taken.

    Raises:
        AddressInUseError: the address cannot be had.
        StoreProbeError: the store cannot be relied upon.
        SpoolLockedError: another collector has this home's spool.
        WriterNameError: the spool's name was changed by hand.
        CatalogError: catalogue or write keys cannot be read.
        IdentityKeysError: the file of identity keys cannot be used.
    """
    listener = listen(host, port)
    with listener:
        parts = _started(settings, store)
        try:
            app = create_app(parts.collector)
            with _brief_collections():
                serve_until_told(app, listener, partial(_announce, on_listening))
        finally:
            _stopped(parts)


@contextmanager
def _brief_collections() -> Iterator[None]:
    """Let garbage collection pass over all that the start has made.

    Those are a hundred thousand objects; to go through them stops all requests for 60 ms, again and again under load.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # libraries tell of what they find uncollected at the end


def _announce(on_listening: Callable[[str], None] | None, url: str) -> None:
    _log.info("collector started", url=url)
    if on_listening is not None:
        on_listening(url)


def _started(settings: Settings, store: ObjectStore) -> Parts:
    """All parts but the server, running."""
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    keys = WriteKeys(catalog, settings.write_keys_file)
    identities = IdentityKeys(settings.identity_keys_file)
    for tenant in catalog.tenants:
        identities.of(tenant)  # a file that cannot be used fails the start, and no request
    probe_conditional_puts(store)
    metrics = Metrics()
    writer = writer_of(settings.spool_root)
    disk = TimedDisk(metrics.sync_seconds.observe)
    spool = Spool.open(settings.spool_root / writer, writer, _spool_limits(settings), disk=disk)
    shipper = Shipper(spool, store, on_shipped=metrics.shipped)
    metrics.watch(spool, shipper)
    shipper.start()
    removals = Recent(partial(read_removals, store))
    collector = Collector(
        catalog=catalog,
        gate=Gate(
            catalog,
            identities=identities,
            suppressed=Recent(partial(read_suppressions, store)).now,
            history_start=settings.history_start,
            removed=lambda stream, tenant, day: removals.now().covers_raw(stream, tenant, day),
        ),
        seals=TenantSeals(identities),
        keys=keys,
        spool=spool,
        metrics=metrics,
        limits=_request_limits(settings),
        webhooks=_webhooks(settings),
    )
    return Parts(collector, spool, shipper)


def _stopped(parts: Parts) -> None:
    """Commit what waits, ship it, let go; what the store does not take stays in the spool for the next start."""
    parts.spool.drain()
    try:
        _ship_the_rest(parts)
    finally:
        parts.spool.close()


def _ship_the_rest(parts: Parts) -> None:
    if not parts.shipper.stop():
        _log.warning("collector stopped, the store is too slow; the next start ships the rest")
        return
    try:
        parts.shipper.ship_waiting(final=True)
    except Exception as error:  # noqa: BLE001  whatever the store raises, the spool keeps what it holds
        problem = f"{type(error).__name__}: {error}"
        _log.warning("collector stopped, the store failed; the next start ships the rest", problem=problem)
        return
    _log.info("collector stopped, everything is shipped")


def _spool_limits(settings: Settings) -> SpoolLimits:
    return SpoolLimits(
        segment_bytes=settings.collector_segment_bytes,
        segment_seconds=settings.collector_segment_seconds,
        max_bytes=settings.collector_spool_max_bytes,
        min_free_bytes=settings.collector_min_free_bytes,
    )


def _request_limits(settings: Settings) -> RequestLimits:
    return RequestLimits(
        body_bytes=settings.collector_max_body_bytes,
        messages=settings.collector_max_batch_events,
        events_per_second=settings.collector_events_per_second,
    )


def _webhooks(settings: Settings) -> list[WebhookSource]:
    return [
        WebhookSource(each.secret.get_secret_value().encode(), each.write_key.get_secret_value())
        for each in settings.collector_webhooks
    ]
