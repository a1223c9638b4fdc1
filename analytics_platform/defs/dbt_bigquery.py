"""How dbt reaches BigQuery: the variables that the output `bigquery` of profiles.yml reads.

Belongs here: from a place to variables. Stays out: running dbt (`dbt_build`), and the labels of each model, which dbt's
query comment makes of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from analytics_platform.defs.dbt_build import DbtConnection
from analytics_platform.warehouse.bigquery_place import BigQueryPlace
from analytics_platform.warehouse.work import Work

_PREFIX = "ANALYTICS_BIGQUERY_"


def bigquery_connection(place: BigQueryPlace, work: Callable[[], Work]) -> DbtConnection:
    """Dbt on a project of BigQuery; a backfill's jobs wait for slots that nobody else wants."""

    def at_work() -> Mapping[str, str]:
        workload = work().workload
        priority = "batch" if workload == "backfill" else "interactive"
        return {f"{_PREFIX}PRIORITY": priority, f"{_PREFIX}WORKLOAD": workload}

    variables = _variables(place)
    return DbtConnection("bigquery", variables, variables, at_work=at_work)


def _variables(place: BigQueryPlace) -> dict[str, str]:
    said = {
        "PROJECT": place.project,
        "REGION": place.region,
        "ENVIRONMENT": place.environment,
        "MAXIMUM_BYTES_BILLED": str(place.maximum_bytes_billed),
        "API_ENDPOINT": place.api_endpoint or "",
        "ANONYMOUS": str(place.anonymous).lower(),
    }
    return {f"{_PREFIX}{name}": value for name, value in said.items()}
