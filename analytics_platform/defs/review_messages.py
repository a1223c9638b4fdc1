"""What Slack is told of a review: that it is there, what it answers, what is void, and how to sign it.

One message for each channel of a sign-off role, under a key of quarter and content: the same review is told once.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from analytics_platform.alerting.block_kit import context, header, link, literal, section, within_limit
from analytics_platform.alerting.outbox import Message
from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.governance.review.content import Answer, Content, Verdict
from analytics_platform.governance.review.desk import Built
from analytics_platform.governance.review.document import section_names
from analytics_platform.governance.review.signing import SHORTEST_HASH, Standing

_MARKS: dict[Answer, str] = {
    "yes": ":white_check_mark:",
    "with reservations": ":large_orange_circle:",
    "no": ":red_circle:",
}


def announcements(built: Built, catalog: Catalog, dagster_url: str) -> list[Message]:
    """The messages about a review that was built."""
    channels = {catalog.owners[role.owner].slack_channel for role in catalog.signoff_roles.values()}
    return [_message(built, channel, dagster_url) for channel in sorted(channels)]


def _message(built: Built, channel: str, dagster_url: str) -> Message:
    content, sha256 = built.review.content, built.review.sha256
    quarter = content.scope.quarter
    lines = "\n".join(_line(verdict) for verdict in content.verdicts)
    void = _void(built.standing)
    how = (
        f"*Read it* with `analytics review show {quarter}` or as HTML or PDF in the lake, then *sign it* with\n"
        f"`analytics review sign {quarter} --role ROLE --name NAME --content {sha256[:SHORTEST_HASH]}`"
    )
    blocks = [
        header(f":memo: Data-quality review {quarter}: {built.standing.status}"),
        section(lines),
        *([section(void)] if void else []),
        section(how),
        context(f"{_money(content)} · {link(_address(content, dagster_url), 'Asset in Dagster')}"),
    ]
    text = "\n".join(
        part for part in (f"Data-quality review {quarter}: {built.standing.status}", lines, void, how) if part
    )
    return Message(
        key=f"review:{quarter}:{sha256[:16]}:{channel}",
        incident=None,
        kind="report",
        channel=channel,
        text=text,
        blocks=within_limit(blocks, f"There is more: `analytics review show {quarter}`"),
    )


def _line(verdict: Verdict) -> str:
    gravest = next((reason.saw for reason in verdict.reasons if reason.answer == verdict.answer), "")
    why = f": {literal(gravest)}" if gravest else ""
    return f"{_MARKS[verdict.answer]} *{literal(verdict.title)}* {verdict.answer}{why}"


def _void(standing: Standing) -> str:
    """Roles alone: the names of who signed stay in the review."""
    void = [f"{literal(each.signature.role)} (differs in {section_names(each.differs)})" for each in standing.void]
    return f":warning: *Signatures are void, because the content is another:* {'; '.join(void)}" if void else ""


def _money(content: Content) -> str:
    totals = content.control_totals.totals
    agreeing = sum(total.agrees for total in totals)
    return f"{agreeing} of {len(totals)} control totals agree" if totals else "control totals not measured"


def _address(content: Content, dagster_url: str) -> str:
    query = urlencode({"view": "partitions", "partition": content.scope.first_day.isoformat()})
    return f"{dagster_url.rstrip('/')}/assets/{quote(keys.REVIEW.to_user_string())}?{query}"
