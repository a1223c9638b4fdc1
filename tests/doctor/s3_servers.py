"""Servers that speak S3's protocol: moto's, as it is and as stores are that people have met.

`deaf_to` a header is a server that does not know it; `skewed` has a clock that is ahead. Neither is the real thing:
what they prove is what the doctor says of one that behaves so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from served import in_a_thread
from werkzeug.serving import make_server

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def deaf_to(header: str) -> Callable[[App], App]:
    def wrap(app: App) -> App:
        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            environ.pop(f"HTTP_{header.upper().replace('-', '_')}", None)
            return app(environ, start)

        return answer

    return wrap


def skewed(ahead: timedelta) -> Callable[[App], App]:
    def wrap(app: App) -> App:
        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                return start(status, [(name, _shifted(name, value)) for name, value in headers], *rest)

            return app(environ, started)

        return answer

    def _shifted(name: str, value: str) -> str:
        if name.lower() not in ("date", "last-modified"):
            return value
        return format_datetime((parsedate_to_datetime(value) + ahead).astimezone(UTC), usegmt=True)

    return wrap


@contextmanager
def s3_server(wrap: Callable[[App], App] = lambda app: app) -> Iterator[str]:
    """The address of a server on a free port; all of them share moto's one account."""
    server = make_server("127.0.0.1", 0, wrap(DomainDispatcherApplication(create_backend_app)), threaded=True)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


def new_bucket(address: str, *, locked: bool = False) -> tuple[Any, str]:
    """A client and the name of an empty bucket."""
    client = boto3.client("s3", endpoint_url=address)
    name = f"lake-{datetime.now(UTC):%H%M%S%f}"
    client.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
        ObjectLockEnabledForBucket=locked,
    )
    return client, name
