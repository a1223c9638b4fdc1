"""What Prometheus is told of the portal: no label that a reader can multiply, no name of anybody."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The counters of one portal."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "analytics_portal_requests", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self.outcomes = Counter(
            "analytics_portal_outcomes",
            "What came of requests for files, of logins and logouts, as in the audit log.",
            ("action", "outcome"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "analytics_portal_request_seconds", "From head to answer.", buckets=_SECONDS, registry=self.registry
        )

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
