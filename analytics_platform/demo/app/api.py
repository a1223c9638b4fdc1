"""The application: its routers, the middleware that notes each request, and the relay that empties the outbox."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine

from analytics_platform.demo.app import billing, bookings, support, warehouse
from analytics_platform.demo.app.context import Services, identify
from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.middleware import AnalyticsMiddleware
from analytics_platform.tracking.outbox import OutboxRelay

_LOG = logging.getLogger(__name__)

_IDLE_SECONDS = 0.2
_LAST_SECONDS = 20.0


def create_app(engine: Engine, tracker: Tracker, currencies: Mapping[str, str]) -> FastAPI:
    """Build the application.

    Args:
        engine: its database (`domain.create_tables`).
        tracker: sends its events; it is closed with the application.
        currencies: the ISO 4217 code of each tenant that is served.
    """
    app = FastAPI(title="Rentals", lifespan=_lifespan)
    app.state.services = Services(engine, tracker, currencies)
    app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=identify, exclude=("/healthz",))
    for module in (bookings, billing, warehouse, support):
        app.include_router(module.router)

    @app.get("/healthz")
    def healthy() -> dict[str, bool]:
        return {"healthy": True}

    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Relay while the application runs, and send what is left when it ends; what cannot be sent stays in its table."""
    services: Services = app.state.services
    relay, stop = OutboxRelay(services.engine, services.tracker), threading.Event()
    thread = threading.Thread(
        target=relay.run_forever, args=(stop,), kwargs={"idle_seconds": _IDLE_SECONDS}, name="outbox", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        await run_in_threadpool(thread.join)
        await run_in_threadpool(_send_rest, relay)
        await run_in_threadpool(services.tracker.close)


def _send_rest(relay: OutboxRelay) -> None:
    deadline = time.monotonic() + _LAST_SECONDS
    while (waiting := relay.waiting()) and time.monotonic() < deadline:
        if not relay.run_once().sent:
            time.sleep(_IDLE_SECONDS)
    if waiting:
        _LOG.warning("%d events stay in the outbox until the application runs again", waiting)
