"""The hash: what changes it, what does not, and what a review says of the one before it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from review_tables import Tables, at, evaluation, incident, quarter_of_rows, small_catalog

from analytics_platform.catalog import Catalog, ReviewAction
from analytics_platform.catalog.dashboards import SchemaChange
from analytics_platform.governance.review.build import policy_hash
from analytics_platform.governance.review.content import Content, canonical, content_hash, section_hashes
from analytics_platform.governance.review.quarters import Quarter


def action(**changed: Any) -> dict[str, ReviewAction]:
    said = {
        "name": "clocks",
        "raised_in": "2026Q2",
        "action": "Set the clocks",
        "owner": "operations",
        "due_on": "2026-08-31",
        **changed,
    }
    return {"clocks": ReviewAction.model_validate(said)}


def test_the_same_tables_give_the_same_bytes(tables: Tables, declared: Catalog) -> None:
    assert canonical(tables.content(declared)) == canonical(tables.content(declared))


def test_content_read_back_from_its_json_has_the_same_hash(tables: Tables, declared: Catalog) -> None:
    tables.add("ops.incidents", incident(1, date(2026, 8, 1)))
    content = tables.content(declared)
    assert content_hash(Content.model_validate_json(canonical(content))) == content_hash(content)


def test_a_passing_evaluation_run_once_more_changes_nothing(tables: Tables, declared: Catalog) -> None:
    before = content_hash(tables.content(declared))
    again = evaluation(date(2026, 8, 10), evaluated_at=at(date(2026, 11, 1)), day=date(2026, 11, 1), run_id="another")
    tables.add("ops.check_results", again)
    assert content_hash(tables.content(declared)) == before


@pytest.mark.parametrize(
    ("change", "sections"),
    [
        ("update kpi.kpi_mrr set mrr_minor = 1", {"control_totals", "verdicts"}),
        (
            "update ops.check_results set checked = 41 where day = '2026-08-11' and dataset = 'kpi.kpi_mrr'",
            {"scorecard"},
        ),
        ("update ops.ledger set duplicates = 3", {"intake"}),
        ("update ops.sla_attainment set is_attained = false where rowid = 0", {"promises"}),
        ("drop table ops.incidents", {"incidents", "sources", "verdicts"}),
    ],
)
def test_what_differs_is_told_by_section(tables: Tables, declared: Catalog, change: str, sections: set[str]) -> None:
    before = tables.content(declared)
    tables.run(change)
    after = tables.content(declared)
    assert content_hash(after) != content_hash(before)
    then, now = section_hashes(before), section_hashes(after)
    assert {name for name in now if now[name] != then[name]} == sections


def test_the_policy_hash_follows_rules_and_not_people(catalog: Catalog, declared: Catalog) -> None:
    tier = declared.sla_tiers["gold"].model_copy(update={"max_lag_minutes": 1})
    stricter = small_catalog(catalog, sla_tiers={**declared.sla_tiers, "gold": tier})
    owner = declared.owners["finance"].model_copy(update={"escalation": "somebody else"})
    moved = small_catalog(catalog, owners={**declared.owners, "finance": owner}, review_actions=action())
    assert policy_hash(stricter) != policy_hash(declared)
    assert policy_hash(moved) == policy_hash(declared)


@pytest.fixture
def previous(tmp_path: Path, declared: Catalog) -> Content:
    tables = Tables(tmp_path / "q2.duckdb")
    quarter_of_rows(tables, date(2026, 4, 1), 91)
    return tables.content(declared, quarter=Quarter(2026, 2))


def test_the_review_before_is_named_with_its_hash(tables: Tables, declared: Catalog, previous: Content) -> None:
    scope = tables.content(declared, previous).scope
    assert (scope.previous, scope.previous_sha256) == ("2026Q2", content_hash(previous))
    alone = tables.content(declared)
    assert alone.schema_changes.not_compared == "there is no review of 2026Q2"
    assert alone.schema_changes.compared_with is None


def test_schema_changes_name_what_was_added_removed_and_changed(
    tables: Tables, catalog: Catalog, declared: Catalog, previous: Content
) -> None:
    assert tables.content(declared, previous).schema_changes.changes == ()
    billing = declared.streams["billing"]
    first, second, *others = billing.events
    without_a_field = first.model_copy(update={"fields": first.fields[1:]})
    renamed = second.model_copy(update={"name": "invoice.settled"})
    stream = billing.model_copy(update={"events": (without_a_field, renamed, *others)})
    changed = small_catalog(catalog, streams={**declared.streams, "billing": stream})
    changes = tables.content(changed, previous).schema_changes.changes
    assert {(each.name, each.change) for each in changes} == {
        (f"event {first.name}", "changed"),
        (f"event {second.name}", "removed"),
        ("event invoice.settled", "added"),
    }
    (detail,) = [each.detail for each in changes if each.change == "changed"]
    assert detail == f"{first.fields[0].name} removed"


def test_a_new_version_of_an_extract_is_told_with_its_reason(
    tables: Tables, catalog: Catalog, declared: Catalog, previous: Content
) -> None:
    finance = declared.dashboards["finance"]
    first, *others = finance.extracts
    version = first.schema_version + 1
    why = {version: SchemaChange(kind="breaking", why="Net of credits.")}
    changed = first.model_copy(update={"schema_version": version, "changes": why})
    boards = {**declared.dashboards, "finance": finance.model_copy(update={"extracts": (changed, *others)})}
    (change,) = tables.content(small_catalog(catalog, dashboards=boards), previous).schema_changes.changes
    assert change.name == f"extract finance.{first.name}"
    assert f"(version {version}) added (breaking: Net of credits.)" in change.detail


@pytest.mark.parametrize(
    ("changed", "standing"),
    [
        ({}, "overdue"),
        ({"due_on": "2026-10-31"}, "open"),
        ({"closed_on": "2026-08-20", "outcome": "Done"}, "closed"),
        ({"closed_on": "2026-10-05", "outcome": "Done"}, "overdue"),  # told by the next review
    ],
)
def test_an_action_stands_as_it_did_at_the_end_of_the_quarter(
    tables: Tables, catalog: Catalog, changed: dict[str, str], standing: str
) -> None:
    (row,) = tables.content(small_catalog(catalog, review_actions=action(**changed))).actions
    assert row.standing == standing


def test_an_action_that_was_deleted_while_open_is_told_once(
    tables: Tables, catalog: Catalog, declared: Catalog
) -> None:
    spring = tables.content(small_catalog(catalog, review_actions=action()))
    removed = tables.content(declared, spring)
    assert [row.standing for row in removed.actions] == ["removed"]
    assert tables.content(declared, removed).actions == ()


def test_an_action_that_the_last_review_told_as_closed_is_told_no_more(tables: Tables, catalog: Catalog) -> None:
    closed = small_catalog(catalog, review_actions=action(closed_on="2026-08-20", outcome="Done"))
    assert tables.content(closed, tables.content(closed)).actions == ()


def test_an_action_of_a_later_review_is_not_told(tables: Tables, catalog: Catalog) -> None:
    assert tables.content(small_catalog(catalog, review_actions=action(raised_in="2026Q4"))).actions == ()
