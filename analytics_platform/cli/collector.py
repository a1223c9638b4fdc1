"""``analytics collector``: takes events in over HTTP until it is told to stop."""

from __future__ import annotations

import click

from analytics_platform.cli.command import Command
from analytics_platform.cli.common import read_settings


@click.command(cls=Command)
@click.option("--host", help="Address to listen on.  [default: ANALYTICS_COLLECTOR_HOST, else 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port; 0 takes a free one.  [default: ANALYTICS_COLLECTOR_PORT, else 8080]",
)
def collector(host: str | None, port: int | None) -> None:
    """Take events in over HTTP as Segment's tracking API does.

    What was answered with 200 is on this machine's disk, and soon in the lake. SIGTERM and Ctrl-C end it: requests are
    finished, everything is shipped, then it goes. Logs are JSON lines on standard error.

    Examples:
        analytics collector
        analytics collector --host 0.0.0.0 --port 8080
    """
    from analytics_platform.defs.resources import store_from
    from analytics_platform.intake.collector.logs import configure_logs
    from analytics_platform.intake.collector.service import serve_collector

    configure_logs()
    settings = read_settings()
    serve_collector(
        settings,
        store_from(settings),
        settings.collector_host if host is None else host,
        settings.collector_port if port is None else port,
        on_listening=lambda url: click.echo(f"Collector: {url}  (OpenAPI: {url}/openapi.json)"),
    )
