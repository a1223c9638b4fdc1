"""Slack's Block Kit as far as it is used here: its limits, and text that cannot be read as markup.

Everything that is not written in this package goes through `literal`. Slack reads ``<`` as the start of a link, a
mention or a broadcast (``<!channel>``), so a text without a raw ``<`` can call nobody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from analytics_platform.alerting.outbox import Block

MAX_BLOCKS = 50
MAX_SECTION_CHARACTERS = 3_000
MAX_HEADER_CHARACTERS = 150
MAX_FIELD_CHARACTERS = 2_000
MAX_FIELDS = 10
MAX_FALLBACK_CHARACTERS = 4_000
"""Slack asks for no more in ``text``; it cuts at 40,000."""

MAX_LITERAL_CHARACTERS = 120

_CUT = "…"
_HALF_AN_ENTITY = re.compile(r"&[a-z]{0,3}\Z")
_HALF_A_LINK = re.compile(r"<[^>]*\Z")


def literal(text: str) -> str:
    """Text from elsewhere, such as a tenant's name: one line, of a bearable length, that Slack shows as it is."""
    line = one_line(text)
    if len(line) > MAX_LITERAL_CHARACTERS:
        line = line[: MAX_LITERAL_CHARACTERS - 1] + _CUT
    return escaped(line)


def one_line(text: str) -> str:
    """Text on one line, without characters that nobody sees."""
    visible = (" " if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") else char for char in text)
    return " ".join("".join(visible).split())


def escaped(text: str) -> str:
    """The three characters that Slack's markup is made of, as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(url: str, label: str) -> str:
    """A link; both parts are ours."""
    return f"<{escaped(url).replace('|', '%7C')}|{escaped(label)}>"


def clipped(markup: str, limit: int) -> str:
    """Markup of at most `limit` characters, never cut within an entity or a link."""
    if len(markup) <= limit:
        return markup
    cut = _HALF_A_LINK.sub("", markup[: limit - 1])
    return _HALF_AN_ENTITY.sub("", cut) + _CUT


def header(text: str) -> Block:
    """A title; plain text, so for words of ours alone."""
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": clipped(text, MAX_HEADER_CHARACTERS), "emoji": True},
    }


def section(markup: str) -> Block:
    """A paragraph."""
    return {"type": "section", "text": _markup(markup, MAX_SECTION_CHARACTERS)}


def fields(pairs: Sequence[tuple[str, str]]) -> list[Block]:
    """Names and values in two columns, in as many sections as it takes."""
    texts = [_markup(f"*{name}*\n{value}", MAX_FIELD_CHARACTERS) for name, value in pairs]
    groups = (texts[start : start + MAX_FIELDS] for start in range(0, len(texts), MAX_FIELDS))
    return [{"type": "section", "fields": group} for group in groups]


def context(markup: str) -> Block:
    """A line in small type."""
    return {"type": "context", "elements": [_markup(markup, MAX_FIELD_CHARACTERS)]}


def image(file_id: str, alt: str) -> Block:
    """A picture that Slack holds as a file."""
    return {"type": "image", "slack_file": {"id": file_id}, "alt_text": clipped(alt, MAX_FIELD_CHARACTERS)}


def within_limit(blocks: Sequence[Block], left_out: str) -> tuple[Block, ...]:
    """At most as many blocks as Slack takes, the last one saying that there is more."""
    if len(blocks) <= MAX_BLOCKS:
        return tuple(blocks)
    return (*blocks[: MAX_BLOCKS - 1], context(left_out))


def _markup(text: str, limit: int) -> Block:
    # Verbatim: Slack makes no links of what looks like an address, a channel or a name.
    return {"type": "mrkdwn", "text": clipped(text, limit), "verbatim": True}
