"""Quality checks of the graph, by layer, behind one factory.

`intake` judges what came in, `streams` and `against_plan` what it is like, `identities` who stands behind it,
`columns`, `limits` and `privacy` the tables that are made of it, `money` whether they still add up to it, `extracts`
and `published` what goes out, `figures` and `view_figures` the numbers on it, `bi` what is generated for BI tools,
`reports` those of a week, `reviews` what is signed, `look_back` and `incidents` the histories of runs. dbt's tests are
asset checks too. Which ones a dataset must have is
declared (`demands` in the catalogue). To add one: write a pure function that returns `Facts`, give it a name that is a
fact and a dimension, and list it in its module (many tables at once: `grouped`); where its asset has partitions, answer
by partition.
"""

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs.dbt import Manifest
from analytics_platform.defs.partitions import Partitions
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from asset_checks.against_plan import plan_checks
from asset_checks.anomalies import anomaly_checks
from asset_checks.columns import column_checks
from asset_checks.extracts import extract_checks
from asset_checks.factory import Facts, Scope, check
from asset_checks.figures import figures_checks
from asset_checks.identities import identity_checks
from asset_checks.incidents import incident_checks
from asset_checks.intake import intake_checks
from asset_checks.limits import limit_checks
from asset_checks.look_back import look_back_checks
from asset_checks.money import money_checks
from asset_checks.privacy import privacy_checks
from asset_checks.published import published_checks
from asset_checks.reports import report_checks
from asset_checks.reviews import review_checks
from asset_checks.streams import stream_checks
from asset_checks.view_figures import view_checks

__all__ = ["Facts", "Scope", "all_checks", "check"]


def all_checks(
    catalog: Catalog, manifest: Manifest, partitions: Partitions, keys: IdentityKeys
) -> list[dg.AssetChecksDefinition]:
    """Every check of ours; `keys` open what is sealed in the lake."""
    return [
        *intake_checks(catalog, partitions),
        *incident_checks(catalog),
        *stream_checks(catalog, partitions),
        *identity_checks(catalog, keys),
        *plan_checks(catalog, partitions, TenantSeals(keys)),
        *column_checks(catalog, manifest),
        *limit_checks(catalog, manifest),
        *money_checks(manifest, partitions),
        *privacy_checks(catalog, manifest),
        *anomaly_checks(catalog, partitions),
        *extract_checks(catalog, partitions),
        *published_checks(catalog),
        *figures_checks(catalog),
        *view_checks(catalog),
        *look_back_checks(catalog, partitions),
        *review_checks(catalog, partitions.time_zone),
        *report_checks(catalog, partitions),
    ]
