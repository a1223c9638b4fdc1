"""Why personal data is processed: the activities of the records of processing (GDPR art. 30), and what protects them.

Only what no other file says: purposes, bases, whom the data speaks about, who receives it. Columns, time limits and
roles follow from the datasets that an activity covers (`governance.processing`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, wrong
from analytics_platform.catalog.governance import DatasetName, DatasetPattern, pattern_covers
from analytics_platform.catalog.values import Name, Text

LegalBasis = Literal[
    "consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"
]
"""The bases of GDPR art. 6(1), from (a) to (f)."""

Capacity = Literal["controller", "processor"]


class ProcessingActivity(Declared):
    """One purpose for which personal data is processed.

    ``capacity`` is ours: processor where a tenant decides what for, controller where we do. ``interest`` names the
    legitimate interest where that is a basis. ``disclosed_to`` are recipients outside the platform's roles;
    ``transfers`` says which data leaves the European Economic Area and under which safeguard.
    """

    name: Name
    title: Text
    purpose: Text
    capacity: Capacity
    legal_basis: Listed[LegalBasis] = Constrained(min_length=1)
    interest: Text | None = None
    data_subjects: Listed[Text] = Constrained(min_length=1)
    datasets: Listed[DatasetPattern] = Constrained(min_length=1)
    disclosed_to: Listed[Text] = ()
    transfers: Text

    @model_validator(mode="after")
    def _an_interest_is_named(self) -> ProcessingActivity:
        if ("legitimate_interests" in self.legal_basis) != (self.interest is not None):
            raise wrong(
                "does not go with legal_basis",
                "name the interest where legitimate_interests is a basis, and nothing elsewhere",
                field="interest",
            )
        return self

    def covers(self, dataset: DatasetName) -> bool:
        """Whether the activity processes a dataset."""
        return any(pattern_covers(pattern, dataset) for pattern in self.datasets)


class SecurityMeasure(Declared):
    """What protects personal data (GDPR art. 32(1)); ``proven_by`` are the asset checks that fail when it does not."""

    name: Name
    title: Text
    description: Text
    proven_by: Listed[Name] = ()
