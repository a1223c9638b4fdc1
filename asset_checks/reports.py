"""Checks of weekly reports: the figures are the warehouse's, every form says the same, and each holds its own tenant.

They read what was written, as a reader would: the text of the page and of the PDF, and the JSON.
"""

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from html.parser import HTMLParser
from typing import Any

import dagster as dg

from analytics_platform.catalog import Catalog, Tenant
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions
from analytics_platform.lake.layout import weekly_report_key
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.sources import STAFF
from analytics_platform.reporting.weekly import weekly_audiences
from asset_checks.factory import Facts, Scope, check
from asset_checks.figures import ShownFigure, computed_figures, figures_equal_warehouse

_SPACE = re.compile(r"[\s\u200b]+")


def report_checks(catalog: Catalog, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """All checks of weekly reports."""
    return [
        check(
            keys.WEEKLY_REPORT,
            "figures_equal_warehouse",
            _by_week(lambda scope, week: figures_of_week(scope, catalog, week)),
            description="Each KPI's figure of the week equals the headline computed in SQL from the warehouse.",
            dimension="consistency",
            partitions_def=partitions.week,
        ),
        check(
            keys.WEEKLY_REPORT,
            "forms_carry_the_same_numbers",
            _by_week(lambda scope, week: forms_of_week(scope.store, catalog, week)),
            description="Every number of the JSON stands in the page and in the PDF, written alike.",
            dimension="consistency",
            partitions_def=partitions.week,
        ),
        check(
            keys.WEEKLY_REPORT,
            "report_holds_only_its_tenant",
            _by_week(lambda scope, week: tenants_of_week(scope.store, catalog, week)),
            description="Rows are filtered before they are written: no tenant's report names another tenant.",
            dimension="validity",
            partitions_def=partitions.week,
        ),
    ]


def shown_figures(catalog: Catalog, facts: Mapping[str, Any]) -> Iterator[ShownFigure]:
    """The figures of a report that are compared: those published in full, money on staff's, the rest on tenants'.

    A tenant's amounts are in its own currency, where no headline of the warehouse is.
    """
    for told in facts["kpis"]:
        kpi = catalog.kpis[told["kpi"]]
        if told["is_whole"] and (kpi.unit == "money_minor") == (facts["audience"] == STAFF):
            first, last = date.fromisoformat(told["first"]), date.fromisoformat(told["last"])
            start = last if kpi.headline.snapshot else first
            yield ShownFigure(facts["audience"], kpi.name, "week", start, last, told["value"])


def forms_carry_the_same_numbers(forms: Mapping[str, tuple[Mapping[str, Any], str, str]]) -> Facts:
    """Every number of a report stands in each of its forms at least as often as in its JSON.

    Args:
        forms: by audience, the JSON's tree, the page's text and the PDF's text.
    """
    offenders, checked = [], 0
    for audience, (tree, page, pdf) in forms.items():
        wanted = Counter(packed(text) for text in _numbers(tree))
        checked += len(wanted)
        offenders += [
            f"{audience}: {text} is {text_of.count(text)} times in the {form}, {count} times in the JSON"
            for form, text_of in (("page", packed(page)), ("PDF", packed(pdf)))
            for text, count in wanted.items()
            if text_of.count(text) < count
        ]
    passed = checked > 0 and not offenders
    summary = f"{len(offenders)} of {checked} numbers are missing from a form"
    return Facts(passed, summary, {"reports": len(forms), "numbers": checked}, offenders, checked, len(offenders))


def report_holds_only_its_tenant(texts: Mapping[str, Sequence[str]], tenants: Mapping[str, Tenant]) -> Facts:
    """No form of a tenant's report has another tenant's id or name.

    Args:
        texts: by tenant, the text of each form.
        tenants: all tenants by id.
    """
    offenders = [
        f"{tenant}: names {other.tenant_id}"
        for tenant, forms in texts.items()
        for other in tenants.values()
        if other.tenant_id != tenant and _names(forms, other, tenants[tenant])
    ]
    summary = f"{len(offenders)} reports name another tenant"
    return Facts(not offenders, summary, {"reports": len(texts)}, offenders, len(texts), len(offenders))


def page_text(page: bytes) -> str:
    """What a reader sees of a page of HTML."""
    reader = _PageReader()
    reader.feed(page.decode())
    return "".join(reader.text)


def pdf_text(pdf: bytes) -> str:
    """What a reader sees of a PDF."""
    import pypdf  # only this check reads PDFs

    return " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def packed(text: str) -> str:
    """Text without white space: where lines break depends on the form."""
    return _SPACE.sub("", text)


class _PageReader(HTMLParser):
    """Gathers text but for style sheets."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.text.append(data)


def _names(forms: Sequence[str], other: Tenant, own: Tenant) -> bool:
    """Whether a text names another tenant; a name that the reader's own contains says nothing."""
    names = [packed(name) for name in (other.tenant_id, other.name)]
    own_names = [packed(name) for name in (own.tenant_id, own.name)]
    telling = [name for name in names if not any(name in mine for mine in own_names)]
    return any(name in form for name in telling for form in map(packed, forms))


def _numbers(tree: object) -> Iterator[str]:
    """Every written value with a number or a date behind it."""
    if isinstance(tree, dict):
        if "text" in tree and "value" in tree:
            yield tree["text"]
        for name, inner in tree.items():
            if name != "facts":
                yield from _numbers(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from _numbers(inner)


def _by_week(judge: Callable[[Scope, date], Facts]) -> Callable[[Scope], Mapping[str, Facts]]:
    def judged(scope: Scope) -> Mapping[str, Facts]:
        return {key: judge(scope, date.fromisoformat(key)) for key in scope.partition_keys or ()}

    return judged


def figures_of_week(scope: Scope, catalog: Catalog, week: date) -> Facts:
    """Whether the figures of a week's reports are the warehouse's."""
    shown = [
        figure
        for audience in weekly_audiences(catalog)
        for figure in shown_figures(catalog, _json(scope.store, week, audience)["facts"])
    ]
    if not shown:
        return Facts(True, "no figure of the week is published in full, and the reports say so", checked=0, failed=0)
    return figures_equal_warehouse(shown, computed_figures(scope, catalog, shown))


def forms_of_week(store: ObjectStore, catalog: Catalog, week: date) -> Facts:
    """Whether every form of a week's reports has the same numbers."""
    return forms_carry_the_same_numbers(
        {
            audience: (
                _json(store, week, audience),
                page_text(store.get(weekly_report_key(week, audience, "html"))),
                pdf_text(store.get(weekly_report_key(week, audience, "pdf"))),
            )
            for audience in weekly_audiences(catalog)
        }
    )


def tenants_of_week(store: ObjectStore, catalog: Catalog, week: date) -> Facts:
    """Whether each report of a week names its own tenant alone."""
    texts = {
        tenant: [
            store.get(weekly_report_key(week, tenant, "html")).decode(),
            store.get(weekly_report_key(week, tenant, "json")).decode(),
            pdf_text(store.get(weekly_report_key(week, tenant, "pdf"))),
        ]
        for tenant in catalog.tenants
    }
    return report_holds_only_its_tenant(texts, catalog.tenants)


def _json(store: ObjectStore, week: date, audience: str) -> dict[str, Any]:
    told = json.loads(store.get(weekly_report_key(week, audience, "json")))
    assert isinstance(told, dict)
    return told
