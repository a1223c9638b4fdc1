"""Waivers, sign-off roles and actions: what loads, and what their author reads when it does not."""

from __future__ import annotations

from datetime import date

import pytest
from catalog_copy import CatalogCopy

from analytics_platform.catalog import Catalog, CatalogError

WAIVER = """
known:
  dataset: kpi.kpi_mrr
  check: mrr_movements_reconcile
  reason: "A price was wrong"
  approved_by: "Head of Finance Control"
  approved_on: 2026-08-01
  expires_on: 2026-09-30
"""
ACTION = """
clocks:
  raised_in: 2026Q2
  action: "Set the clocks"
  owner: operations
  due_on: 2026-08-31
"""


def loaded(copy: CatalogCopy, file: str, text: str) -> Catalog:
    (copy.root / file).write_text(text)
    return copy.load()


def problem(copy: CatalogCopy, file: str, text: str) -> str:
    with pytest.raises(CatalogError) as raised:
        loaded(copy, file, text)
    (found,) = raised.value.problems
    return str(found)


def test_finance_operations_and_the_data_owner_sign(catalog: Catalog) -> None:
    assert list(catalog.signoff_roles) == ["finance", "operations", "data_owner"]
    assert {role.owner for role in catalog.signoff_roles.values()} <= catalog.owners.keys()


def test_a_waiver_covers_the_days_from_its_approval_until_it_expires(catalog_copy: CatalogCopy) -> None:
    waiver = loaded(catalog_copy, "waivers.yaml", WAIVER).waivers["known"]
    days = (date(2026, 7, 31), date(2026, 8, 1), date(2026, 9, 30), date(2026, 10, 1))
    assert [waiver.covers(day) for day in days] == [False, True, True, False]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("expires_on: 2026-09-30", "expires_on: 2026-07-31", "known.expires_on: 2026-07-31 is before approved_on"),
        ("expires_on: 2026-09-30", "expires_on: 2026-12-03", "more than 123 days after approved_on; write 2026-12-02"),
        ("  expires_on: 2026-09-30\n", "", "known.expires_on: is missing"),
        ("kpi.kpi_mrr", "kpi.kpi_mr", "known.dataset: 'kpi.kpi_mr' is not a registered dataset"),
        ('"A price was wrong"', '" "', "known.reason: ' ' says nothing"),
        ("check: mrr_movements_reconcile", 'check: "all of them"', "known.check: 'all of them' does not match"),
    ],
)
def test_a_bad_waiver_names_field_and_mend(catalog_copy: CatalogCopy, old: str, new: str, expected: str) -> None:
    assert old in WAIVER
    assert expected in problem(catalog_copy, "waivers.yaml", WAIVER.replace(old, new))


def test_the_longest_waiver_and_one_that_has_expired_load(catalog_copy: CatalogCopy) -> None:
    longest = WAIVER.replace("2026-09-30", "2026-12-02")
    assert loaded(catalog_copy, "waivers.yaml", longest).waivers["known"].expires_on == date(2026, 12, 2)
    old = WAIVER.replace("2026-", "2020-")
    assert loaded(catalog_copy, "waivers.yaml", old).waivers["known"].expires_on == date(2020, 9, 30)


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("  closed_on: 2026-08-20\n", "clocks.outcome: is missing"),
        ('  outcome: "Done"\n', "clocks.closed_on: is missing"),
        ("  owner: nobody\n", "'nobody' is not an owner"),
        ("  raised_in: 2026-Q2\n", "write a quarter such as 2026Q3"),
    ],
)
def test_a_bad_action_names_field_and_mend(catalog_copy: CatalogCopy, added: str, expected: str) -> None:
    key = added.split(":")[0] + ":"
    kept = "".join(line for line in ACTION.splitlines(keepends=True) if not line.startswith(key))
    assert expected in problem(catalog_copy, "review_actions.yaml", kept + added)


def test_a_closed_action_has_its_outcome(catalog_copy: CatalogCopy) -> None:
    closed = ACTION + '  closed_on: 2026-08-20\n  outcome: "Done"\n'
    assert loaded(catalog_copy, "review_actions.yaml", closed).review_actions["clocks"].outcome == "Done"


def test_a_role_of_an_unknown_owner_is_refused(catalog_copy: CatalogCopy) -> None:
    catalog_copy.replace("signoff_roles.yaml", "owner: finance", "owner: nobody")
    with pytest.raises(CatalogError, match=r"signoff_roles.yaml: finance.owner: 'nobody' is not an owner"):
        catalog_copy.load()
