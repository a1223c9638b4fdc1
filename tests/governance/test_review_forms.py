"""HTML, PDF and JSON carry the same numbers: read back from each form, not from what made them."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pypdf
import pytest
from review_tables import Q3, ZONE, Tables, evaluation, failing, incident, quarter_of_rows, small_catalog

from analytics_platform.catalog import Catalog, ReviewAction, Waiver
from analytics_platform.governance.review.desk import ReviewDesk
from analytics_platform.governance.review.quarters import Quarter
from analytics_platform.governance.review.signing import Signing
from analytics_platform.lake.layout import review_key
from analytics_platform.lake.store import LocalStore

HOSTILE = '</script><img src=x onerror=alert(1)> #panic() *b* $x$ [c] "q"'
MINUS = "\u2212"
_NUMBER = re.compile(r"(?<![\w.,:/-])[\u2212+]?[€£]?\d[\d,]*(?:\.\d+)?%?(?![\w/:-])")
_FOOTER = re.compile(r"Data-quality review 2026Q3 · 1 Jul \u2013 30 Sep 2026 · DRAFT Page \d+ of \d+")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in {"style", "script", "title"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "script", "title"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


@dataclass(frozen=True)
class Forms:
    """What a reader finds in each form: text with single spaces, and the JSON's content."""

    html: str
    pdf: str
    content: dict[str, Any]
    raw_html: bytes

    @property
    def packed(self) -> dict[str, str]:
        """Both texts without white space and marks: where a line breaks depends on the form."""
        return {name: re.sub(r"[\s✔✘!?▲▼▸]", "", text) for name, text in (("html", self.html), ("pdf", self.pdf))}


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Forms:
    """A review in which everything is something: two quarters, failures, a waiver, incidents, actions, a signature."""
    root = tmp_path_factory.mktemp("forms")
    store, declared = LocalStore(root / "lake"), _declared(catalog)
    desk = ReviewDesk(store, declared, ZONE)
    spring = Tables(root / "q2.duckdb")
    quarter_of_rows(spring, date(2026, 4, 1), 91)
    desk.build(spring.warehouse, Quarter(2026, 2), "run-q2", datetime(2026, 7, 1, 5, tzinfo=UTC))
    summer = Tables(root / "q3.duckdb")
    quarter_of_rows(summer, date(2026, 7, 1))
    _plant(summer)
    built = desk.build(summer.warehouse, Q3, "run-q3", datetime(2026, 10, 1, 5, tzinfo=UTC))
    desk.sign(Q3, Signing("finance", HOSTILE, built.review.sha256), datetime(2026, 10, 2, 9, tzinfo=UTC))
    page = store.get(review_key("2026Q3", "html"))
    reader = _Text()
    reader.feed(page.decode())
    document = pypdf.PdfReader(io.BytesIO(store.get(review_key("2026Q3", "pdf"))))
    pdf = _squeezed(" ".join(page.extract_text() for page in document.pages))
    kept = json.loads(store.get(review_key("2026Q3", "json")))
    return Forms(_squeezed(" ".join(reader.parts)), _FOOTER.sub("", pdf), kept["content"], page)


def _declared(catalog: Catalog) -> Catalog:
    waiver = {
        "name": "known",
        "dataset": "kpi.kpi_mrr",
        "check": "limits",
        "reason": HOSTILE,
        "approved_by": "Head of Finance Control",
        "approved_on": "2026-08-01",
        "expires_on": "2026-10-31",
    }
    action = {"name": "a", "raised_in": "2026Q2", "action": "Mend it", "owner": "finance", "due_on": "2026-08-17"}
    return small_catalog(
        catalog,
        waivers={"known": Waiver.model_validate(waiver)},
        review_actions={"a": ReviewAction.model_validate(action)},
    )


def _plant(tables: Tables) -> None:
    days = [date(2026, 8, 10) + timedelta(n) for n in range(7)]
    tables.add("ops.check_results", *(failing(day, "limits", checked=12_345, threshold=0.025) for day in days))
    tables.add("ops.check_results", failing(days[0]), evaluation(days[1], "volume", dimension="completeness"))
    tables.add("ops.incidents", incident(1, days[0]), incident(2, days[1], cause=HOSTILE, minutes_to_repair=3001.0))
    tables.run(
        "update ops.sla_attainment set is_attained = false where tenant_id = 'albion-stage' and day < '2026-07-04'"
    )
    tables.run("update kpi.kpi_receivables set receivables_minor = 612345678, receivables_reporting_minor = 712345678")


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u200b", "").replace("\u00a0", " ")).strip()


def numbers(text: str) -> Counter[str]:
    return Counter(_NUMBER.findall(text))


def amount(minor: int, symbol: str) -> str:
    return f"{MINUS if minor < 0 else ''}{symbol}{abs(Decimal(minor)) / 100:,.2f}"


def found(forms: Forms, *cells: str) -> None:
    """The cells stand one after another in both forms."""
    row = re.sub(r"\s", "", "".join(cells))
    for name, text in forms.packed.items():
        assert row in text, f"{row} is not in the {name}"


def test_every_number_of_the_page_is_in_the_pdf_as_often_and_none_beside(forms: Forms) -> None:
    assert sum(numbers(forms.html).values()) > 100
    assert numbers(forms.pdf) == numbers(forms.html)


def test_every_control_total_of_the_json_is_in_both_to_the_cent(forms: Forms) -> None:
    totals = forms.content["control_totals"]["totals"]
    assert len(totals) == 5
    for each in totals:
        found(
            forms,
            f"{each['tenant_id']} ({each['currency']})",
            *_money(each, "minor", "£"),
            *_money(each, "eur_minor", "€"),
        )


def _money(total: dict[str, Any], unit: str, symbol: str) -> Iterator[str]:
    source, gold = total[f"source_{unit}"], total[f"gold_{unit}"]
    yield from (amount(each, symbol) for each in (source, gold, gold - source))


def test_a_difference_of_millions_shows_to_the_cent(forms: Forms) -> None:
    found(forms, "£6.00", "£6,123,456.78", "£6,123,450.78")


def test_every_promise_of_the_json_is_in_both(forms: Forms) -> None:
    for each in forms.content["promises"]["kinds"]:
        promise = each["promise"].replace("_", " ")
        found(
            forms,
            each["tier"],
            promise,
            str(each["due"]),
            str(each["attained"]),
            f"{100 * each['attained'] / each['due']:.2f}%",
        )
    for each in forms.content["promises"]["tenants"]:
        found(
            forms,
            each["tenant_id"],
            str(each["due"]),
            str(each["attained"]),
            f"{100 * each['attained'] / each['due']:.2f}%",
        )


def test_every_measured_cell_of_the_scorecard_is_in_both(forms: Forms) -> None:
    cells = [cell for cell in forms.content["scorecard"]["cells"] if cell["rules"]]
    assert len(cells) == 3
    for cell in cells:
        found(forms, f"{cell['failing']:,} of {cell['judged']:,}")
        found(
            forms, cell["dataset"], cell["dimension"], str(cell["rules"]), f"{cell['checked']:,}", f"{cell['failed']:,}"
        )


def test_what_was_not_measured_is_written_so_and_never_as_a_number(forms: Forms) -> None:
    rows = Counter(cell["dataset"] for cell in forms.content["scorecard"]["cells"] if not cell["rules"])
    assert rows == {"kpi.kpi_mrr": 4, "ops.ledger": 5}
    unmeasured = sum(rows.values()) + sum(figure["value"] is None for figure in forms.content["drift"])
    for text in (forms.html, forms.pdf):
        assert len(re.findall(r"[?] not measured", text)) == unmeasured


def test_every_stream_incident_and_failing_check_is_in_both(forms: Forms) -> None:
    for row in forms.content["intake"]:
        found(
            forms, row["stream"], *(str(row[name]) for name in ("received", "accepted", "duplicates", "dead_lettered"))
        )
    for row in forms.content["incidents"]["rows"]:
        found(forms, row["incident_id"], row["severity"])
    for rule in forms.content["scorecard"]["rules"]:
        if rule["times_failed"]:
            found(
                forms,
                rule["check"],
                rule["dataset"],
                "error",
                str(rule["times_failed"]),
                str(rule["failing"] - rule["waived"]),
            )


def test_the_cover_has_hashes_runs_and_status(forms: Forms) -> None:
    for name, text in forms.packed.items():
        assert forms.content["scope"]["policy_sha256"] in text, name
        assert forms.content["scope"]["previous_sha256"] in text, name
        assert "StatusDRAFT" in text
        assert "run-q3" in text


def test_hostile_words_are_text_in_every_form(forms: Forms) -> None:
    assert b"<img src=x" not in forms.raw_html
    assert forms.html.count(HOSTILE) == 3
    assert all(text.count(re.sub(r"\s", "", HOSTILE)) == 3 for text in forms.packed.values())
