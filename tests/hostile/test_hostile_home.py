"""Hostile strings, canary secrets and people in wrong places through one whole home: what may not come of them."""

from __future__ import annotations

import csv
import io
import re
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_home import ODD, ODD_NAME, OTHER, SECRETS, TENANT, HostileHome, prepared
from hostile_strings import HOSTILE, SCRIPT
from planted import PLANTED, contents, found_in, messages
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from analytics_platform.catalog import Catalog
from analytics_platform.reporting.page import payload_of

pytestmark = pytest.mark.integration

KEYS = re.compile(r"([A-Za-z0-9_.@-]+(=[A-Za-z0-9_-]+)?/)*[A-Za-z0-9_.@-]+")
WHAT_RUNS_A_CELL = ("=", "+", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
TELLING = {name: text for name, text in HOSTILE.items() if len(text) > 8}
"""Those that are no words of ours."""

VISITS = {"kpi_channel_conversion"}
"""Goes by the calls of a marketing site, which only one of the two has."""

COMMANDS = (
    "doctor", "doctor --json", "access diff --target duckdb", "access matrix", "alerts list --all", "alerts digest",
    "alerts list --all --json", "alerts send --json", "alerts heartbeat", "segment plan", "segment apply --yes",
    "dead-letters list", "dead-letters list --json", "dead-letters replay --json", "extracts list", "keys list --json",
    "retention plan --by me --json", "governance verify", "portal users list", "review show 2026Q1", "bi links",
    "erase status", "sql 'select * from nowhere'", "sql 'attach ''x'''", "migrate plan --from .", "report list",
)  # fmt: skip
"""What may be looked at or fail with nobody at the other end; those that show a letter's own bytes are left out."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> HostileHome:
    return prepared(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def answers(home: HostileHome) -> dict[str, str]:
    """What the commands say, by command."""
    return {command: home.called(*shlex.split(command)) for command in COMMANDS}


@pytest.fixture(scope="module")
def everything(home: HostileHome, answers: dict[str, str]) -> bytes:
    """All files of the home, unpacked, and all that was ever said; in lower case."""
    packed = b"\n".join(part for path in sorted(home.path.rglob("*")) for part in contents(path))
    return (packed + home.said.encode() + "".join(answers.values()).encode()).lower()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB")
    yield context.new_page()
    context.close()


def pages(home: HostileHome) -> list[Path]:
    """The pages of one who sees everything and of the tenants, and all that speak of no dashboard."""
    lake = home.path / "lake"
    whose = ("admin.html", f"tenant_viewer@{ODD}.html")
    found = [path for path in lake.rglob("*.html") if "dashboards" not in path.parts or path.name in whose]
    return [*found, lake / "dashboards" / "index.html"]


def test_every_line_is_accounted_for_and_every_text_that_may_stay_stays(home: HostileHome) -> None:
    account = home.imported
    assert account["read"] == account["accepted"] + account["duplicates"] + account["dead_lettered"]
    assert set(account["reasons"]) == {
        "invalid_encoding", "invalid_envelope", "schema_violation", "unknown_event", "unknown_tenant"
    }  # fmt: skip
    found = {
        row["touchpoint"]: row["n"]
        for row in home.rows("select touchpoint, count(*) as n from staging.stg_crm__nps_submitted group by 1")
    }
    assert {text: found.get(text) for text in HOSTILE.values()} == dict.fromkeys(HOSTILE.values(), 2)


def test_no_statement_was_run_but_ours(home: HostileHome) -> None:
    """Each would have dropped a table or shown another; all are there, and the run's own checks passed over them."""
    tables = {
        row["t"] for row in home.rows("select table_schema || '.' || table_name as t from information_schema.tables")
    }
    assert {"raw.billing", "kpi.kpi_mrr", "kpi.kpi_nps"} <= tables
    for table in ("raw.billing", "kpi.kpi_nps", "kpi.kpi_qualified_leads"):
        assert home.rows(f"select count(*) as n from {table}")[0]["n"] > 0
    assert "extract/growth/qualified_leads" in home.report["built"]


def test_no_key_of_the_lake_and_no_other_file_is_made_of_a_clients_text(home: HostileHome, catalog: Catalog) -> None:
    lake = home.path / "lake"
    keys = [path.relative_to(lake).as_posix() for path in lake.rglob("*") if path.is_file()]
    assert len(keys) > 200
    assert [key for key in keys if KEYS.fullmatch(key) is None] == []
    tenants = {part for key in keys for part in key.split("/") if part.startswith("tenant=")}
    assert tenants <= {f"tenant={each}" for each in (*catalog.tenants, ODD, "_unknown")}
    assert {path.name for path in home.path.parent.iterdir()} == {"home", "tenants.yaml", "from a client.ndjson.gz"}


@pytest.mark.parametrize("folder", ["dagster", "dbt", "lake/bi", "lake/quality", "alerts.sqlite"])
def test_a_clients_text_comes_into_no_record_log_statement_or_message(home: HostileHome, folder: str) -> None:
    """Runs, events, metadata and compute logs; dbt's variables and compiled SQL; Power BI's code; what Slack gets."""
    content = b"\n".join(path.read_bytes() for path in _files(home.path / folder))
    assert len(content) > 10_000
    assert {name for name, text in TELLING.items() if text.encode() in content} == set()
    assert SCRIPT.encode() not in content.replace(ODD_NAME.encode(), b"")


def test_a_clients_text_comes_into_no_output(home: HostileHome, answers: dict[str, str]) -> None:
    said = home.said + "".join(answers.values())
    assert {name for name, text in TELLING.items() if text in said} == set()
    assert {char for char in said if not char.isprintable()} == {"\n"}


def test_no_cell_of_a_csv_begins_a_formula(home: HostileHome) -> None:
    cells = [
        cell
        for path in (home.path / "lake" / "extracts").rglob("*.csv")
        for row in csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
        for cell in row
    ]
    assert [cell for cell in cells if cell.startswith(WHAT_RUNS_A_CELL)] == []
    assert {cell for cell in cells if cell.startswith("-") and re.fullmatch(r"-[0-9.]+", cell) is None} == set()
    assert f"'{HOSTILE['formula']}" in cells


@pytest.mark.browser
def test_nothing_that_was_planted_runs_on_any_page(home: HostileHome, page: Page) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    shown = ""
    for path in pages(home):
        page.goto(path.as_uri())
        assert page.evaluate("typeof window.planted") == "undefined", path
        assert page.locator("script:not([type])").count() <= 2, path
        shown += page.locator("body").text_content() or ""
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert {name for name in ("script", "image", "style", "template", "formula") if HOSTILE[name] not in shown} == set()
    assert ODD_NAME in shown


@pytest.mark.browser
def test_what_got_past_the_escaping_would_still_not_run(home: HostileHome, page: Page, tmp_path: Path) -> None:
    """The second wall: a page with the strings pasted in raw, as if every renderer had forgotten to escape."""
    body = (home.path / "lake" / "dashboards" / "growth" / "admin.html").read_text()
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(body.replace("<main", "".join(HOSTILE[name] for name in ("script", "image")) + "<main", 1))
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(spoilt.as_uri())
    assert page.locator("img[src*='evil.test']").count() == 1
    assert page.evaluate("typeof window.planted") == "undefined"
    for what in ("http://evil.test/x", "script"):
        assert [text for text in refused if what in text and "Content Security Policy" in text], what


def test_a_tenants_page_has_no_text_of_another_tenants_client(home: HostileHome) -> None:
    folder = home.path / "lake" / "dashboards" / "growth"
    for other in ("albion-stage", "noord-rigging"):
        said = str(payload_of((folder / f"tenant_viewer@{other}.html").read_bytes()))
        assert {name for name, text in TELLING.items() if text in said} == set()


def test_two_tenants_whose_things_have_the_same_ids_have_the_same_figures(home: HostileHome) -> None:
    """Their bookings, invoices and people are named alike: a join without the tenant would count them twice."""
    found = home.rows(
        "select table_name as t from information_schema.columns "
        "where table_schema = 'kpi' and column_name = 'tenant_id'"
    )
    tables = {row["t"] for row in found} - VISITS
    each = (
        f"select '{t}' as name, tenant_id, replace(to_json(x)::varchar, tenant_id, '') as said from kpi.{t} x"
        for t in tables
    )
    told: dict[str, dict[str, list[str]]] = {TENANT: {}, ODD: {}}
    for row in home.rows(
        f"select * from ({' union all '.join(each)}) where tenant_id in ('{TENANT}', '{ODD}') order by all"
    ):
        told[row["tenant_id"]].setdefault(row["name"], []).append(row["said"])
    assert told[TENANT] == told[ODD]
    assert {"kpi_mrr", "kpi_invoice_collection_rate", "kpi_nps", "kpi_equipment_utilisation"} <= set(told[ODD])


def test_a_report_is_set_with_the_names_as_they_are(home: HostileHome) -> None:
    (pdf,) = (home.path / "lake" / "reports").rglob(f"*{ODD}.pdf")
    text = "".join(page.extract_text() for page in PdfReader(pdf).pages)
    assert "#panic()" in text


def test_slack_is_given_nothing_that_calls_anybody(home: HostileHome) -> None:
    with sqlite3.connect(home.path / "alerts.sqlite") as outbox:
        written = [row[0] for row in outbox.execute("select document from outbox")]
    assert len(written) > 1
    assert [text for text in written if re.search(r"<[!@#]", text)] == []


def test_no_secret_is_in_any_file_record_page_or_output(everything: bytes) -> None:
    assert found_in(everything, SECRETS.values()) == set()


def test_nobody_is_in_clear_in_any_file_record_page_or_output(home: HostileHome, everything: bytes) -> None:
    """A person whose identifiers stood in every place of a message, in four messages, one of them refused."""
    assert len(messages(OTHER)) == home.rows(_OF_THE_PERSON)[0]["n"] + 1
    assert found_in(everything, PLANTED) == set()


_OF_THE_PERSON = """
    select (select count(*) from raw.marketing where message_id like 'id\\_%' escape '\\' or message_id = 'm-page')
        + (select count(*) from raw.crm where message_id = 'm-nps') as n
"""


def _files(place: Path) -> list[Path]:
    return [path for path in [place, *place.rglob("*")] if path.is_file()]
