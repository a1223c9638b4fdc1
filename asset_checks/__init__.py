"""Quality checks of the graph, by layer, behind one factory.

`intake` judges what came in, `published` what goes out, `figures` the numbers on it; what lies between is judged by
dbt's tests, which are asset checks too. To add one: write a pure function that returns `Facts`, give it a name that
is a fact, and list it in its module.
"""

import dagster as dg

from analytics_platform.catalog import Catalog
from asset_checks.anomalies import anomaly_checks
from asset_checks.factory import Facts, Scope, check
from asset_checks.figures import figures_checks
from asset_checks.intake import intake_checks
from asset_checks.published import published_checks
from asset_checks.reviews import review_checks

__all__ = ["Facts", "Scope", "all_checks", "check"]


def all_checks(catalog: Catalog, time_zone: str) -> list[dg.AssetChecksDefinition]:
    """Every check of ours."""
    return [
        *intake_checks(catalog),
        *anomaly_checks(catalog),
        *published_checks(catalog),
        *figures_checks(catalog),
        *review_checks(catalog, time_zone),
    ]
