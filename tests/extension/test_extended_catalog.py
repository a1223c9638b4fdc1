"""A deployment's declarations: added to the platform's, never in their place; mistakes are told by file and mend."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from example_home import EXAMPLE

from analytics_platform.catalog import Catalog, CatalogError, load_catalog
from analytics_platform.settings import PROJECT_ROOT

Change = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE / "catalog", tmp_path / "extension" / "catalog"))


@pytest.fixture(scope="module")
def extended() -> Catalog:
    return load_catalog(None, EXAMPLE / "catalog")


def test_what_an_extension_declares_stands_beside_what_the_platform_declares(
    catalog: Catalog, extended: Catalog
) -> None:
    assert list(extended.streams) == [*catalog.streams, "damage_reports"]
    assert list(extended.kpis) == [*catalog.kpis, "damage_rate"]
    assert extended.kpis["mrr"] == catalog.kpis["mrr"]
    assert extended.streams["support"] == catalog.streams["support"]
    assert "staging.stg_damage_reports__damage_reported" in extended.datasets
    assert extended.translations["nl"].kpis["damage_rate"].title == "Schadegraad"
    assert extended.translations["nl"].kpis["mrr"] == catalog.translations["nl"].kpis["mrr"]


def test_lists_grow_by_what_is_added_and_by_nothing_else(catalog: Catalog, extended: Catalog) -> None:
    assert extended.dashboards["executive_overview"].kpis == (
        *catalog.dashboards["executive_overview"].kpis,
        "damage_rate",
    )
    assert extended.access_roles["operations"].may_see("dashboard.damages")
    assert not catalog.access_roles["operations"].may_see("dashboard.damages")
    assert not extended.access_roles["growth"].may_see("kpi.kpi_damage_rate")
    assert extended.access_roles["growth"] == catalog.access_roles["growth"]


def test_a_stream_of_the_platform_takes_more_events(folder: Path, catalog: Catalog) -> None:
    (folder / "plan" / "support.yaml").write_text(
        """\
name: support
events:
  ticket.escalated:
    title: Ticket escalated
    description: "A ticket went to somebody who can decide."
    emitted_by: [backend]
    feeds: [ticket_resolution]
    occurred_at: null
    fields:
      ticket_id: {type: id, required: true, pii: none, description: "The ticket."}
"""
    )
    support = load_catalog(None, folder).streams["support"]

    assert support.events[:-1] == catalog.streams["support"].events
    assert support.events[-1].name == "ticket.escalated"
    assert {field.name for field in support.events[-1].all_fields} > {"tenant_id", "ticket_id"}
    assert support.owner == catalog.streams["support"].owner


def append(file: str, text: str) -> Change:
    def change(folder: Path) -> None:
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + text)

    return change


def swap(file: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return change


OWNER = "{title: T, slack_channel: '#t', escalation: E}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            append("owners.yaml", f"finance: {OWNER}\n"),
            r"owners.yaml: finance: is declared in .*/owners.yaml too; .*never",
        ),
        (append("kpis.yaml", "mrr: {}\n"), r"extension/catalog/kpis.yaml: mrr: is declared in .*catalog/kpis.yaml too"),
        (
            append("plan/support.yaml", "name: support\nowner: growth\nevents: {}\n"),
            r"extension/catalog/plan/support.yaml: owner: is said in plan/support.yaml already; leave it out",
        ),
        (
            append("plan/support.yaml", "name: support\nevents: {ticket.opened: {fields: {}}}\n"),
            r"plan/support.yaml: events\[ticket.opened\]: is declared in plan/support.yaml too",
        ),
        (
            append("translations/nl.yaml", "roles: {finance: Geld}\n"),
            r"translations/nl.yaml: roles.finance: is declared in translations/nl.yaml too",
        ),
        (
            append("common_fields.yaml", "{}\n"),
            r"common_fields.yaml: \(whole file\): is not read; remove it or name it",
        ),
        (append("kpi.yaml", "{}\n"), r"extension/catalog/kpi.yaml: \(whole file\): is not read"),
        (append("plan/x.yml", "{}\n"), r"plan/x.yml: \(whole file\): is not read; give it the suffix .yaml"),
        (
            append(
                "tenants/delta-events.yaml",
                (PROJECT_ROOT / "analytics_platform/catalog/tenants/delta-events.yaml").read_text(),
            ),
            r"tenant_id: 'delta-events' is the id of another tenant",
        ),
        (
            swap("kpis.yaml", "owner: operations", "owner: workshop"),
            r"extension/catalog/kpis.yaml: damage_rate.owner: 'workshop' is not an owner; write one of finance",
        ),
        (
            swap("kpis.yaml", "unit: percent", "unit: share"),
            r"extension/catalog/kpis.yaml: damage_rate.unit: 'share' is not known here; write one of",
        ),
        (
            swap("plan/damage_reports.yaml", "vocabulary: damage_severity", "vocabulary: severity"),
            r"plan/damage_reports.yaml: events\[damage.reported\].fields\[severity\].vocabulary: 'severity' is not a",
        ),
        (
            swap("plan/damage_reports.yaml", "order: 101", "order: 6"),
            r"extension/catalog/plan/damage_reports.yaml: order: 6 is that of support too",
        ),
        (
            swap("datasets.yaml", "raw.damage_reports:", "raw.damages:"),
            r"extension/catalog/datasets.yaml: raw.damage_reports: is not registered; add it with owner",
        ),
        (
            swap("stream_quality.yaml", "damage_reports:", "damages:"),
            r"extension/catalog/stream_quality.yaml: damage_reports: is not there; add the stream with its limits",
        ),
        (
            swap("translations/nl.yaml", "damage_rate:", "damage:"),
            r"extension/catalog/translations/nl.yaml: kpis.damage_rate: is not translated",
        ),
        (
            swap("additions.yaml", ", marts.fct_damage_reports]", "]"),
            r"extension/catalog/datasets.yaml: marts.fct_damage_reports: holds personal data that serves no purpose",
        ),
        (
            swap("additions.yaml", "kpis: [damage_rate]", "kpis: [damages]"),
            r"extension/catalog/additions.yaml: dashboards.executive_overview.kpis: 'damages' is not a KPI",
        ),
        (
            swap("additions.yaml", "  executive_overview:", "  damages:"),
            r"additions.yaml: dashboards.damages: is not declared by the platform; write one of executive_overview",
        ),
        (
            swap("additions.yaml", "    kpis: [damage_rate]", "    title: Ours"),
            r"additions.yaml: dashboards.executive_overview: may hold kpis alone; write kpis: \[a, b\]",
        ),
        (
            append("additions.yaml", "kpis: {}\n"),
            r"additions.yaml: kpis: is nothing that grows; write one of access_roles",
        ),
    ],
)
def test_a_clash_or_a_mistake_is_told_by_file_field_and_mend(folder: Path, change: Change, said: str) -> None:
    change(folder)
    with pytest.raises(CatalogError) as caught:
        load_catalog(None, folder)
    assert re.search(said, str(caught.value)), caught.value


def test_a_folder_that_is_not_there_is_no_empty_extension(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="mend the setting extension_folder"):
        load_catalog(None, tmp_path / "nowhere" / "catalog")


def test_what_an_editor_hides_in_the_folder_is_left_alone(folder: Path, extended: Catalog) -> None:
    for file in (".gitignore", ".idea/workspace.xml"):
        append(file, "x")(folder)
    assert load_catalog(None, folder) == extended


def test_an_extension_of_models_alone_declares_nothing(tmp_path: Path, catalog: Catalog) -> None:
    assert load_catalog(None, tmp_path / "catalog") == catalog


def test_every_catalogue_of_a_deployment_is_loaded_with_its_extension() -> None:
    """One that is loaded of the tenants file alone would not see the extension."""
    alone = re.compile(r"load_catalog\([^()]*tenants_file\)")
    files = [path for room in ("analytics_platform", "asset_checks") for path in (PROJECT_ROOT / room).rglob("*.py")]
    found = [str(path.relative_to(PROJECT_ROOT)) for path in files if alone.search(path.read_text())]
    assert found == ["asset_checks/extension.py"]  # what there would be without it
