"""Great Expectations for what people read: KPI tables and extracts.

`suites/` has one file per dataset, for reviewers to read and change; `suites.py` reads them, `tables` and `rules` add
what follows from declarations, `engine` judges, `words` says it to people, and `checks` hangs the outcome on the assets
and keeps it in the lake. The page that shows it is `reporting.expectation_report`. See docs/expectations.md.
"""

from asset_checks.expectations.checks import expectation_checks

__all__ = ["expectation_checks"]
