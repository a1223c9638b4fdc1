"""Turns a payload into one HTML file that opens without a network, and stays harmless whatever the data says.

Three walls stand between data and script: jinja escapes all text, the payload is embedded packed (gzip, base64) in an
element that no browser runs, and the content-security policy allows exactly the scripts and the style sheet of this
file, by their hashes. Which figures an audience may see is decided before (``payload``); what the figures are called is
the catalogue's and ``messages``'.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from analytics_platform.catalog import Audience, Catalog
from analytics_platform.documents.inlined import hash_source, templates_of
from analytics_platform.reporting.messages import ENGLISH, PAGE_WORDS
from analytics_platform.reporting.page_words import dashboard_texts, page_words

DEFAULT_PERIOD = "13w"

_ROOM = "analytics_platform.reporting"
_PAGE_SCRIPTS = ("words", "elements", "state", "figures", "charts", "cards", "views", "page")
_INDEX_SCRIPTS = ("words", "state", "index")
_EMBEDDED = re.compile(rb'<script type="application/octet-stream" id="figures">([A-Za-z0-9+/=]*)</script>')


@dataclass(frozen=True)
class PageContent:
    """What one audience's page shows: its payload, and the same audience's dashboards as (name, relative link)."""

    payload: Mapping[str, Any]
    siblings: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class IndexRow:
    """An audience on the start page, and its dashboards as (name, relative link)."""

    audience: Audience
    links: Sequence[tuple[str, str]]


def render_page(catalog: Catalog, content: PageContent) -> bytes:
    """One dashboard as UTF-8 HTML; the same content gives the same bytes."""
    shown = catalog.dashboards[content.payload["dashboard"]]
    embedded = {
        "payload": content.payload,
        "default_period": DEFAULT_PERIOD,
        "siblings": [{"dashboard": name, "href": href} for name, href in content.siblings],
        "words": page_words(catalog, content.payload, [name for name, _ in content.siblings]),
    }
    return _render(
        "dashboard.html.j2",
        scripts=(_vendored("echarts/echarts.min.js"), _script(_PAGE_SCRIPTS)),
        title=shown.title,
        siblings=[(catalog.dashboards[name].title, href) for name, href in content.siblings],
        audience=content.payload["audience"]["tenant"] or ENGLISH["all_tenants"],
        payload=embedded_element(embedded),
        words=ENGLISH,
    )


def render_index(catalog: Catalog, rows: Sequence[IndexRow]) -> bytes:
    """The start page as UTF-8 HTML: every audience of ``rows`` with its dashboards, in each language."""
    shown = [
        {
            "role": _role_titles(catalog, row.audience.role),
            "tenant": catalog.tenants[row.audience.tenant].name if row.audience.tenant else None,
            "links": [{"href": href, **dashboard_texts(catalog, name)} for name, href in row.links],
        }
        for row in rows
    ]
    return _render("index.html.j2", scripts=(_script(_INDEX_SCRIPTS),), rows=shown, words=PAGE_WORDS)


def payload_element(payload: Mapping[str, Any]) -> Markup:
    """The element that a page carries its payload in."""
    return embedded_element({"payload": payload})


def payload_of(page: bytes) -> dict[str, Any]:
    """The payload that a page embeds, as its script reads it.

    Raises:
        ValueError: the bytes are no page of ours.
    """
    found = _EMBEDDED.search(page)
    if found is None:
        raise ValueError("the page embeds no payload")
    payload: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))["payload"]
    return payload


def embedded_element(value: Mapping[str, Any]) -> Markup:
    """A value as JSON, packed in an element that no browser runs; the same value gives the same text.

    What is packed has no character that HTML knows, so nothing in it can end the element.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    packed = base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()
    return Markup(f'<script type="application/octet-stream" id="figures">{packed}</script>')  # noqa: S704 - base64


def content_security_policy(scripts: Sequence[str], style: str) -> str:
    """A policy that allows these inlined scripts and this style sheet and nothing else, above all no network."""
    allowed = " ".join(hash_source(script) for script in scripts) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src {hash_source(style)}; img-src data:; "
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


def _role_titles(catalog: Catalog, role: str) -> dict[str, str]:
    translated = {language: texts.roles[role] for language, texts in catalog.translations.items()}
    return {"en": catalog.access_roles[role].title, **translated}


def _script(names: Sequence[str]) -> str:
    """Some of our scripts as one, in a scope of its own."""
    parts = "\n".join(_template(f"scripts/{name}.js") for name in names)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


@cache
def _environment() -> Environment:
    return templates_of(_ROOM)


@cache
def _template(name: str) -> str:
    return files(_ROOM).joinpath("templates", *name.split("/")).read_text(encoding="utf-8")


@cache
def _vendored(name: str) -> str:
    text = files(_ROOM).joinpath("vendor", name).read_text(encoding="utf-8")
    if "</script" in text.lower():
        raise ValueError(
            f"vendor/{name} holds a closing script tag and cannot be inlined; build it with --charset=ascii"
        )
    return text
