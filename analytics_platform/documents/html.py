"""A document as one HTML file that opens without a network, on a phone, in the dark and on paper.

Nothing in it runs: there is no script, and the content-security policy allows the one style sheet by its hash and
pictures that are part of the file. Jinja escapes every string.
"""

from __future__ import annotations

import base64
from functools import cache
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup

from analytics_platform.documents.content import Document
from analytics_platform.documents.inlined import hash_source, templates_of
from analytics_platform.documents.words import WORDS
from analytics_platform.documents.writing import written

_ROOM = "analytics_platform.documents"


def render_html(document: Document) -> bytes:
    """The document as UTF-8 HTML; the same content gives the same bytes."""
    whole = written(document)
    style = _style()
    html = (
        _environment()
        .get_template("document.html.j2")
        .render(
            document=whole.tree,
            policy=_policy(style),
            style=Markup(style),  # noqa: S704 - ours
            sources=[(_data_uri(picture.svg), _data_uri(picture.dark_svg)) for picture in whole.pictures],
            words=WORDS[document.language],
        )
    )
    return html.encode()


def _policy(style: str) -> str:
    return f"default-src 'none'; style-src {hash_source(style)}; img-src data:; base-uri 'none'; form-action 'none'"


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


@cache
def _environment() -> Environment:
    return templates_of(_ROOM)


@cache
def _style() -> str:
    return files(_ROOM).joinpath("templates", "document.css").read_text(encoding="utf-8")
