"""Turns figures into one HTML file that opens without a network, and stays harmless whatever the data says.

Three walls stand between data and script: jinja escapes all text, figures are embedded as JSON without a single ``<``,
and the content-security policy allows exactly the two scripts and the style sheet of this file, by their hashes.
Which figures an audience may see is decided before (``dashboards``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from analytics_platform.catalog import Dashboard, Kpi
from analytics_platform.reporting.messages import ENGLISH

PERIODS = ("30d", "13w", "12m")
DEFAULT_PERIOD = "13w"

_ROOM = "analytics_platform.reporting"
_EMBEDDED = re.compile(rb'<script type="application/json" id="figures">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class PageContent:
    """What one audience's page shows.

    ``audience_name`` is the tenant's, None for roles that see all of them; ``payload`` is what ``payload.Pages`` makes;
    ``siblings`` are the same audience's dashboards as (title, relative link, is this one).
    """

    dashboard: Dashboard
    audience_name: str | None
    day: date
    kpis: Sequence[Kpi]
    payload: Mapping[str, Any]
    siblings: Sequence[tuple[str, str, bool]]


@dataclass(frozen=True)
class IndexRow:
    """A line of the start page: whose dashboards, and their (title, relative link)."""

    audience_name: str
    links: Sequence[tuple[str, str]]


def render_page(content: PageContent) -> bytes:
    """One dashboard as UTF-8 HTML; the same content gives the same bytes."""
    words = ENGLISH
    audience = content.audience_name or words["all_tenants"]
    embedded = {**content.payload, "default_period": DEFAULT_PERIOD, "words": dict(words)}
    return _render(
        "dashboard.html.j2",
        scripts=(_vendored("echarts/echarts.min.js"), _template("dashboard.js")),
        audience=audience,
        content=content,
        currencies=_currencies(content.payload["kpis"]),
        default_period=DEFAULT_PERIOD,
        payload=payload_element(embedded),
        has_matrix=len(content.kpis) > 2 and content.audience_name is None,
        kpis=list(zip(content.kpis, content.payload["kpis"], strict=True)),
        periods=PERIODS,
        words=words,
    )


def render_index(rows: Sequence[IndexRow]) -> bytes:
    """The start page of platform staff as UTF-8 HTML."""
    return _render("index.html.j2", scripts=(), rows=rows, words=ENGLISH)


def payload_element(payload: Mapping[str, Any]) -> Markup:
    """The element that a page carries its payload in."""
    return Markup('<script type="application/json" id="figures">{}</script>').format(embed_json(payload))


def payload_of(page: bytes) -> dict[str, Any]:
    """What a page embeds, as its script reads it.

    Raises:
        ValueError: the bytes are no page of ours.
    """
    embedded = _EMBEDDED.search(page)
    if embedded is None:
        raise ValueError("the page embeds no payload")
    found: dict[str, Any] = json.loads(embedded[1])
    return found


def embed_json(value: object) -> Markup:
    r"""JSON that may stand inside a ``<script>`` element: nothing in it can end the element or open a comment.

    ``<``, ``>`` and ``&`` become ``\uXXXX`` escapes, which mean the same to every JSON reader; so do the two line
    separators that old JavaScript engines end a line on.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def content_security_policy(scripts: Sequence[str], style: str) -> str:
    """A policy that allows these inlined scripts and this style sheet and nothing else, above all no network."""
    allowed = " ".join(_hash(script) for script in scripts) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _render(name: str, scripts: Sequence[str], **context: object) -> bytes:
    style = _template("style.css")
    html = (
        _environment()
        .get_template(name)
        .render(
            policy=content_security_policy(scripts, style),
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - ours
            style=Markup(style),  # noqa: S704 - ours
            **context,
        )
    )
    return html.encode()


def _currencies(figures: Sequence[Mapping[str, Any]]) -> str:
    found = dict.fromkeys(figure["currency"] for figure in figures if figure["currency"])
    return " / ".join(found) if found else ""


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader(_ROOM, "templates"),
        autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _template(name: str) -> str:
    return files(_ROOM).joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _vendored(name: str) -> str:
    text = files(_ROOM).joinpath("vendor", name).read_text(encoding="utf-8")
    if "</script" in text.lower():
        raise ValueError(
            f"vendor/{name} holds a closing script tag and cannot be inlined; build it with --charset=ascii"
        )
    return text
