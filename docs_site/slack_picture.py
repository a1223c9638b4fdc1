"""Draws the README's alert: `python -m docs_site.slack_picture docs/images/slack-message.png`. Needs Chromium.

The message is what the alert desk makes of a late table; its blocks are drawn as Slack shows them. What belongs here
is that look; the words are of `alerting.messages`.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from html import escape, unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import sync_playwright

from analytics_platform.alerting.desk import AlertDesk
from analytics_platform.alerting.findings import Failure, Finding, Moment, Observation
from analytics_platform.alerting.incidents import Damping
from analytics_platform.alerting.messages import Places
from analytics_platform.alerting.outbox import Block, Message
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import load_catalog

_SINCE = datetime(2026, 11, 25, 5, 30, tzinfo=UTC)
_LATE = Finding(
    failure=Failure.SLA_BREACHED,
    asset="kpi/revenue/kpi_mrr",
    dataset="kpi.kpi_mrr",
    tenant="delta-events",
    day=date(2026, 11, 24),
    since=_SINCE,
    promised=Moment(at=datetime(2026, 11, 25, 5, tzinfo=UTC)),
    run_id="5b0e4c1a-6a51-4d5f-9d0f-1c64e9c2a7b3",
)
_PLACES = Places("https://dagster.example/", "https://docs.example/runbooks", "Europe/Amsterdam")
_WIDTH, _PIXELS = 733, 1.5
"""The other pictures are 1,100 wide, and Slack's letters are small beside theirs."""

_EMOJI: Mapping[str, str] = {"red_circle": "#e01e5a", "large_orange_circle": "#ec8f1c", "large_blue_circle": "#1d9bd1"}
_MARKUP = re.compile(
    r"<(?P<url>[^|>]+)\|(?P<label>[^>]+)>|\*(?P<bold>[^*\n]+)\*|`(?P<code>[^`\n]+)`|:(?P<emoji>[a-z_]+):"
)
_STYLE = """
body { margin: 0; padding: 20px 24px; width: 685px; background: #fff; color: #1d1c1d;
  font: 13.5px/1.47 Lato, "DejaVu Sans", sans-serif; }
.message { display: grid; grid-template-columns: 36px 1fr; column-gap: 10px; }
.face { width: 36px; height: 36px; border-radius: 6px; background: #1f4e79; color: #fff; font-weight: 700;
  display: grid; place-items: center; }
.app { font-size: 10px; font-weight: 700; background: #e8e8e8; color: #616061; border-radius: 2px; padding: 1px 3px; }
time { color: #616061; font-size: 12px; }
h3 { font-size: 16px; line-height: 1.33; margin: 6px 0 8px; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; margin: 0 0 8px; }
p { margin: 0 0 8px; }
.context { color: #616061; font-size: 12px; margin: 0; }
a { color: #1264a3; text-decoration: none; }
code { font: 11px/1.5 "DejaVu Sans Mono", monospace; color: #e01e5a; background: #f6f6f6;
  border: 1px solid #ddd; border-radius: 3px; padding: 1px 3px; }
.dot { display: inline-block; width: 15px; height: 15px; border-radius: 50%; vertical-align: -2px; }
"""


def late_table(folder: Path) -> Message:
    """What the desk says of a KPI table that is not there when it was promised."""
    store = SqliteStore(folder / "alerts.sqlite")
    AlertDesk(load_catalog(), store, _PLACES, Damping()).observe("promises", Observation((_LATE,)), _SINCE)
    with store.transaction() as session:
        (waiting,) = session.outbox()
    return waiting.message


def page(message: Message, at: str) -> str:
    """A message as a page with Slack's look."""
    blocks = "\n".join(_DRAWN[block["type"]](block) for block in message.blocks)
    head = f'<b>Analytics</b> <span class="app">APP</span> <time>{escape(at)}</time>'
    body = f'<div class="message"><div class="face">A</div><div>{head}\n{blocks}</div></div>'
    return f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style><body>{body}</body>'


def markup(text: str) -> str:
    """Slack's markup as HTML; its entities are HTML's."""
    drawn, end = [], 0
    for found in _MARKUP.finditer(text):
        drawn += [_plain(text[end : found.start()]), _piece(found)]
        end = found.end()
    return "".join([*drawn, _plain(text[end:])])


def _piece(found: re.Match[str]) -> str:
    if url := found["url"]:
        return f'<a href="{escape(unescape(url))}">{_plain(found["label"])}</a>'
    if found["bold"]:
        return f"<b>{_plain(found['bold'])}</b>"
    if found["code"]:
        return f"<code>{_plain(found['code'])}</code>"
    return f'<span class="dot" style="background: {_EMOJI[found["emoji"]]}"></span>'


def _plain(text: str) -> str:
    return escape(unescape(text)).replace("\n", "<br>")


def _section(block: Block) -> str:
    if "fields" in block:
        return f'<div class="fields">{"".join(f"<div>{_text(each)}</div>" for each in block["fields"])}</div>'
    return f"<p>{_text(block['text'])}</p>"


def _context(block: Block) -> str:
    return f'<p class="context">{"".join(map(_text, block["elements"]))}</p>'


def _text(composed: Mapping[str, Any]) -> str:
    return markup(composed["text"])


_DRAWN: Mapping[str, Callable[[Block], str]] = {
    "header": lambda block: f"<h3>{_text(block['text'])}</h3>",
    "section": _section,
    "context": _context,
}


def draw(html: str, target: Path) -> None:
    """A page as a picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": _WIDTH, "height": 200}, device_scale_factor=_PIXELS)
        view.set_content(html)
        view.screenshot(path=target, full_page=True)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    with TemporaryDirectory() as scratch:
        draw(page(late_table(Path(scratch)), "06:30"), parser.parse_args().target)
