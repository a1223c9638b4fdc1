"""Purposes of processing: what loads, and what their author reads when it does not."""

from __future__ import annotations

import pytest
from catalog_copy import CatalogCopy

from analytics_platform.catalog import CatalogError


def test_personal_data_without_a_purpose_does_not_load(catalog_copy: CatalogCopy) -> None:
    catalog_copy.replace("processing_activities.yaml", "[raw.product, ", "[")

    with pytest.raises(CatalogError, match=r"raw\.product: holds personal data that serves no purpose"):
        catalog_copy.load()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[raw.product, ", "[raw.produce, raw.product, ", "'raw.produce' covers no dataset"),
        ("legal_basis: [contract]", "legal_basis: [habit]", "event_intake.legal_basis"),
        ('  interest: "Running and improving the application."\n', "", "product_use.interest: does not go with"),
    ],
)
def test_a_bad_activity_names_field_and_mend(catalog_copy: CatalogCopy, old: str, new: str, expected: str) -> None:
    catalog_copy.replace("processing_activities.yaml", old, new)

    with pytest.raises(CatalogError, match=expected):
        catalog_copy.load()
