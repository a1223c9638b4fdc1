"""Where BigQuery is and what it may cost: apart, because Google's library takes a second to import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BigQueryPlace:
    """Where BigQuery is, who asks, and what a job may cost.

    Attributes:
        project: project of the datasets and of the jobs.
        region: location of both, such as ``eu`` or ``europe-west4``.
        prefix: what the names of a branch environment's datasets begin with.
        environment: label of every job, beside what it works on.
        maximum_bytes_billed: BigQuery refuses a query that would read more, before it costs anything.
        api_endpoint: address of a stand-in, or a private one; Google's own where there is none.
        anonymous: ask a stand-in without credentials.
    """

    project: str
    region: str
    prefix: str = ""
    environment: str = "local"
    maximum_bytes_billed: int = 100 * 1024**3
    api_endpoint: str | None = None
    anonymous: bool = False
