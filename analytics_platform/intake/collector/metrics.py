"""What Prometheus is told: one registry per process, labels that no sender can multiply."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as MetricsSource

from analytics_platform.intake.collector.disk import Disk
from analytics_platform.intake.collector.shipping import Shipper, ShipReport
from analytics_platform.intake.collector.spool import Spool

_SYNC_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_SHIP_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """The counters of one collector."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = self._counter("events_accepted", "Events that will land.")
        self.dead_lettered = self._counter("events_dead_lettered", "Events that are dead letters.", "reason")
        self.acknowledged = self._counter("events_acknowledged", "Events whose sender was told that they are safe.")
        self.requests = self._counter("requests", "Requests by route and status.", "route", "status")
        self.refused = self._counter("requests_refused", "Requests that were refused as a whole.", "code")
        self.request_seconds = self._histogram("request_seconds", "From head to answer.", _REQUEST_SECONDS)
        self.sync_seconds = self._histogram("fsync_seconds", "One fdatasync of the spool.", _SYNC_SECONDS)
        self.ship_seconds = self._histogram("ship_seconds", "One segment from disk into the lake.", _SHIP_SECONDS)
        self.shipped_lines = self._counter("lines_shipped", "Lines of segments that were shipped.")

    def watch(self, spool: Spool, shipper: Shipper) -> None:
        """Ask spool and shipper how they are whenever the metrics are read."""
        self.registry.register(_States(spool, shipper))

    def shipped(self, report: ShipReport) -> None:
        """Take the account of a round of shipping."""
        self.shipped_lines.inc(report.lines)
        for seconds in report.seconds:
            self.ship_seconds.observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"analytics_collector_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"analytics_collector_{name}", text, buckets=buckets, registry=self.registry)


class TimedDisk(Disk):
    """The disk, with the time that each sync takes told to `observe`."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe

    def sync(self, descriptor: int) -> None:
        """As `Disk.sync`."""
        started = perf_counter()
        super().sync(descriptor)
        self._observe(perf_counter() - started)


class _States(MetricsSource):
    """What is asked for and not counted."""

    def __init__(self, spool: Spool, shipper: Shipper) -> None:
        self._spool, self._shipper = spool, shipper

    def collect(self) -> Iterator[Metric]:
        state, shipping = self._spool.state(), self._shipper.state()
        age = 0.0 if state.oldest_at is None else (datetime.now(UTC) - state.oldest_at).total_seconds()
        yield _gauge("spool_healthy", "1 when events can be acknowledged.", float(state.healthy))
        yield _gauge("spool_bytes", "Bytes that are not in the lake yet.", state.bytes_waiting)
        yield _gauge("spool_segments", "Segments that are not in the lake yet.", state.segments)
        yield _gauge("spool_age_seconds", "Age of the oldest segment that is not in the lake yet.", max(age, 0.0))
        yield _gauge("spool_queued_bytes", "Bytes that wait in memory for the disk.", state.queued_bytes)
        yield _count("spool_commits", "Group commits.", state.commits)
        yield _count("spool_refused", "Commits that were refused.", state.refused)
        yield _count("spool_failures", "Writes and syncs that failed.", state.failures)
        yield _count("spool_lost_segments", "Segments that were gone or in part unreadable.", state.lost_segments)
        yield _gauge("shipping_attempts", "Failed attempts to ship since the last success.", shipping.attempts)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"analytics_collector_{name}", text, value=value)


def _count(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"analytics_collector_{name}", text, value=value)
