"""Declared limits: what they mean, and what a broken declaration of them says."""

from typing import get_args

import pytest
from catalog_copy import CatalogCopy

from analytics_platform.catalog import Catalog, CatalogError
from analytics_platform.catalog.identifiers import IdentifierKind
from analytics_platform.catalog.quality import ShareLimit
from analytics_platform.identities.references import Kind


def problems_of(copy: CatalogCopy) -> list[str]:
    with pytest.raises(CatalogError) as raised:
        copy.load()
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(("bad", "of", "is_exceeded"), [(0, 0, False), (2, 3, False), (3, 3, True), (3, 150, False)])
def test_a_limit_is_exceeded_by_share_and_number_together(bad: int, of: int, is_exceeded: bool) -> None:
    assert ShareLimit(max_share=0.02, tolerated_rows=2).is_exceeded(bad, of) is is_exceeded


def test_the_shipped_declarations_are_complete(catalog: Catalog) -> None:
    assert catalog.stream_quality.keys() == catalog.streams.keys()
    assert len(catalog.references) > 10
    assert {"kpi.kpi_nps", "marts.fct_invoices"} <= catalog.value_limits.keys()
    assert all(tier.demands["loaded"] for tier in catalog.sla_tiers.values())


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (
            "stream_quality.yaml",
            "max_share: 0.02",
            "max_share: 2.0",
            "stream_quality.yaml: billing.dead_letters.max_share: ",
        ),
        (
            "stream_quality.yaml",
            "min_weekdays: 4",
            "min_weekdays: 13",
            "stream_quality.yaml: billing.volume.min_weekdays: asks for 13 of 12 days; write 12 or less",
        ),
        (
            "stream_quality.yaml",
            "\nsupport:",
            "\nsuport:",
            "stream_quality.yaml: support: is not there; add the stream",
        ),
        ("stream_quality.yaml", "\nsupport:", "\nsuport:", "stream_quality.yaml: suport: 'suport' is not a stream; "),
        (
            "references.yaml",
            "to: invoice.issued",
            "to: invoice.isued",
            "references.yaml: payment_has_invoice.to: 'invoice.isued' is not an event; write one of ",
        ),
        (
            "references.yaml",
            "field: invoice_id",
            "field: invoice",
            "references.yaml: payment_has_invoice.field: 'invoice' is not a property of invoice.paid; write one of ",
        ),
        (
            "value_limits.yaml",
            "kpi.kpi_nps:",
            "kpi.kpi_snp:",
            "value_limits.yaml: kpi.kpi_snp: 'kpi.kpi_snp' is not a registered dataset; register it",
        ),
        (
            "value_limits.yaml",
            "{column: on_rent_items, minimum: 0}",
            "{column: on_rent_items}",
            "value_limits.yaml: kpi.kpi_equipment_utilisation.limits[items_on_rent_are_no_fewer_than_none]: ",
        ),
        (
            "value_limits.yaml",
            "minimum: -1440, maximum: 1440",
            "minimum: 1440, maximum: -1440",
            "value_limits.yaml: marts.fct_departures.limits[delay_is_within_a_day].maximum: is below the minimum; ",
        ),
        (
            "personal_data_patterns.yaml",
            'passes: ["@analytics/next"',
            'passes: ["a@example.nl", "@analytics/next"',
            "personal_data_patterns.yaml: email.pattern: finds ['a@example.nl'], against its examples; ",
        ),
        (
            "personal_data_patterns.yaml",
            "'(?:^|[^A-Za-z0-9])(?P<iban>[A-Z]{2}",
            "'(?:^|[^A-Za-z0-9](?P<iban>[A-Z]{2}",
            "personal_data_patterns.yaml: iban.pattern: is no regular expression (",
        ),
        (
            "direct_identifiers.yaml",
            "phone: phone\n",
            "phones: phone\n",
            "direct_identifiers.yaml: patterns.phones: 'phones' is not a pattern; write one of email, phone, ",
        ),
        (
            "direct_identifiers.yaml",
            "  - plan\n",
            "  - plan\n  - first_name\n",
            "direct_identifiers.yaml: traits: firstName, first_name are said twice; keep one of them",
        ),
        (
            "sla_tiers.yaml",
            "raw: [partitions_are_readable]",
            "row: [partitions_are_readable]",
            "sla_tiers.yaml: gold.demands",
        ),
        ("sla_tiers.yaml", "[registry_is_loaded]", "[Registry-is-loaded]", "sla_tiers.yaml: gold.demands.registry"),
    ],
)
def test_a_broken_declaration_says_file_field_and_mend(
    catalog_copy: CatalogCopy, file: str, old: str, new: str, problem: str
) -> None:
    catalog_copy.replace(file, old, new)
    assert any(each.startswith(problem) for each in problems_of(catalog_copy)), problems_of(catalog_copy)


def test_kinds_of_identifiers_are_those_that_references_have() -> None:
    assert get_args(IdentifierKind) == get_args(Kind)
