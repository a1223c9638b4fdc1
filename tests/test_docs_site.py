"""The site's own part: every page is in its contents, and the reference says what the code says."""

import re
import tomllib
from pathlib import Path

import click
import pytest

from analytics_platform.catalog import Catalog
from analytics_platform.cli import main
from analytics_platform.settings import PREFIX, PROJECT_ROOT, Settings
from docs_site.__main__ import CONFIG
from docs_site.catalogue import events_page, kpis_page
from docs_site.commands import commands_page
from docs_site.markdown import code, table
from docs_site.settings_reference import settings_page
from docs_site.slack_picture import late_table, markup, page

REFERENCE = ("commands", "settings", "events", "kpis", "assets", "checks", "tables")
GENERATED = {f"reference/{name}.md" for name in REFERENCE}


def test_every_page_stands_in_the_contents_once() -> None:
    sections = tomllib.loads(CONFIG.read_text())["project"]["nav"]
    named = [page for section in sections for pages in section.values() for page in pages]
    there = {str(page.relative_to(PROJECT_ROOT / "docs")) for page in (PROJECT_ROOT / "docs").rglob("*.md")}
    assert sorted(named) == sorted(there | GENERATED)


def test_a_cell_is_on_one_line_and_ends_no_column() -> None:
    assert table(["a", "b"], [("x | y", "two\nlines")]) == "| a | b |\n|---|---|\n| x \\| y | two lines |\n\n"
    assert table(["a"], []) == ""
    assert (code("x"), code("")) == ("`x`", "")


def test_every_command_is_described_with_its_options() -> None:
    text = commands_page()
    for name, command in main.commands.items():
        assert f"## analytics {name}" in text
        if not isinstance(command, click.Group):
            assert command.get_short_help_str(limit=30).rstrip(".").split(" ")[0] in text
    assert "| `--reason TEXT`" in text


def test_every_setting_is_described_and_no_path_of_this_machine() -> None:
    text = settings_page()
    assert all(f"| `{PREFIX}{name.upper()}` |" in text for name in Settings.model_fields)
    assert "| secret |" in text
    assert str(PROJECT_ROOT) not in text


@pytest.mark.parametrize("kind", ["events", "kpis"])
def test_what_is_declared_is_there(catalog: Catalog, kind: str) -> None:
    text = events_page(catalog) if kind == "events" else kpis_page(catalog)
    names = list(catalog.events) if kind == "events" else [each.title for each in catalog.kpis.values()]
    assert all(f"## {name}\n" in text for name in names)


def test_the_readmes_slack_message_is_drawn_from_what_the_alert_desk_says(tmp_path: Path) -> None:
    message = late_table(tmp_path)
    drawn = page(message, "06:30")
    said = re.sub(r"<[^>]*>", "", drawn)
    assert "CRITICAL · Late: kpi/revenue/kpi_mrr" in said
    assert f"--from 2026-11-24 --to 2026-11-24 --reason incident-{message.incident}" in said
    assert 'href="https://docs.example/runbooks/sla_breached.md"' in drawn
    assert "*" not in said
    assert "`" not in said


@pytest.mark.parametrize(
    ("slack", "html"),
    [
        ("*a &lt;b&gt;*\n`c &amp; d`", "<b>a &lt;b&gt;</b><br><code>c &amp; d</code>"),
        ("<https://x.example/?a=1&amp;b=2|the run>", '<a href="https://x.example/?a=1&amp;b=2">the run</a>'),
    ],
)
def test_slacks_markup_is_drawn_and_text_from_elsewhere_stays_text(slack: str, html: str) -> None:
    assert markup(slack) == html
