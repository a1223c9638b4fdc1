"""The portal's own pages as HTML, and the headers that go with every answer.

Nothing runs in these pages: there is no script, and their policy allows one style sheet by its hash and forms that go
to the portal alone. A page from the lake brings a policy of its own in its head; the header beside it only takes more
away, so that neither undoes the other.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup

from analytics_platform.documents import Language
from analytics_platform.documents.inlined import hash_source, templates_of
from analytics_platform.portal.words import WORDS

PAGE_POLICY = (
    "object-src 'none'; frame-src 'none'; connect-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Beside a page from the lake, whose own policy says which scripts and styles it has."""

DOWNLOAD_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Beside a file that is no page."""

HTTPS_ONLY = "max-age=31536000; includeSubDomains"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""With every answer."""

_ROOM = "analytics_platform.portal"


def render(template: str, language: Language, **context: object) -> bytes:
    """One of the portal's pages; Jinja escapes every string."""
    words = WORDS[language]
    html = (
        _environment()
        .get_template(template)
        .render(
            language=language,
            other=next(each for each in WORDS if each != language),
            style=Markup(_style()),  # noqa: S704 - ours
            words=words,
            **context,
        )
    )
    return html.encode()


@cache
def own_policy() -> str:
    """The policy of the portal's own pages."""
    return (
        f"default-src 'none'; style-src {hash_source(_style())}; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


@cache
def _environment() -> Environment:
    return templates_of(_ROOM)


@cache
def _style() -> str:
    return files(_ROOM).joinpath("templates", "portal.css").read_text(encoding="utf-8")
