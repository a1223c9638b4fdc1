"""Quality checks of the graph, by layer, behind one factory.

`intake` judges what came in, `published` what goes out, `figures` the numbers on it, `look_back` the histories of runs;
what lies between is judged by dbt's tests, which are asset checks too. To add one: write a pure function that returns
`Facts`, give it a name that is a fact and a dimension, and list it in its module; where its asset has partitions,
answer by partition.
"""

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs.partitions import Partitions
from asset_checks.anomalies import anomaly_checks
from asset_checks.factory import Facts, Scope, check
from asset_checks.figures import figures_checks
from asset_checks.intake import intake_checks
from asset_checks.look_back import look_back_checks
from asset_checks.published import published_checks

__all__ = ["Facts", "Scope", "all_checks", "check"]


def all_checks(catalog: Catalog, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Every check of ours."""
    return [
        *intake_checks(catalog, partitions),
        *anomaly_checks(catalog, partitions),
        *published_checks(catalog, partitions),
        *figures_checks(catalog),
        *look_back_checks(catalog, partitions),
    ]
