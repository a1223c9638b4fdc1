"""The message that tells of a report: its first sentences, its figures, and its picture. Pure words, no incident.

Who makes a report hands in plain facts; this room knows neither what a report is made of nor where it lies. A report
goes to one channel, written down under the report's own name, so building it again says nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from analytics_platform.alerting.block_kit import (
    MAX_FALLBACK_CHARACTERS,
    clipped,
    context,
    escaped,
    fields,
    header,
    one_line,
    section,
    within_limit,
)
from analytics_platform.alerting.outbox import Attachment, Message
from analytics_platform.alerting.store import AlertStore
from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError


class ReportChannelError(AnalyticsError):
    """A report would reach people whom it is not for."""


@dataclass(frozen=True)
class ReportNews:
    """What a message tells of a report.

    Attributes:
        key: the report's own name, such as ``report weekly 2026-11-16 all``.
        channel: where it goes.
        title: what it is.
        subtitle: about when and for whom.
        sentences: most important first.
        figures: pairs of a name and what it came to.
        where: how a reader gets the whole.
        pictures: shown below.
    """

    key: str
    channel: str
    title: str
    subtitle: str
    sentences: Sequence[str]
    figures: Sequence[tuple[str, str]]
    where: str
    pictures: Sequence[Attachment]


def report_channel(catalog: Catalog, tenant: str | None, executives: str | None, owner: str) -> str | None:
    """Where a report goes: a tenant's to the channel that is declared for it, staff's to the executives'.

    Args:
        catalog: declares owners and tenants.
        tenant: whose report it is; None for that of all tenants.
        executives: the executives' channel, where the deployment has one.
        owner: whose channel it is otherwise.

    Returns:
        The channel; None for a tenant without one: its report is a file and nothing else.

    Raises:
        ReportChannelError: the channel is another's too.
    """
    if tenant is None:
        channel, others = executives or catalog.owners[owner].slack_channel, _tenant_channels(catalog, None)
    else:
        declared = catalog.tenants[tenant].report_channel
        if declared is None:
            return None
        staff = {each.slack_channel for each in catalog.owners.values()} | ({executives} if executives else set())
        channel, others = declared, staff | _tenant_channels(catalog, tenant)
    _refuse_shared(channel, tenant or "all tenants", others)
    return channel


def report_message(news: ReportNews) -> Message:
    """The message in blocks and as text."""
    told = [f"• {_line(sentence)}" for sentence in news.sentences]
    blocks = [
        header(news.title),
        section("\n".join([f"*{_line(news.subtitle)}*", *told])),
        *fields([(_line(name), _line(value)) for name, value in news.figures]),
        context(_line(news.where)),
    ]
    text = "\n".join(
        [f"{news.title}: {_line(news.subtitle)}", *told]
        + [f"{_line(name)}: {_line(value)}" for name, value in news.figures]
        + [_line(news.where)]
    )
    return Message(
        key=news.key,
        incident=None,
        kind="report",
        channel=news.channel,
        text=clipped(text, MAX_FALLBACK_CHARACTERS),
        blocks=within_limit(blocks, "There is more in the report."),
        pictures=tuple(news.pictures),
    )


def tell(store: AlertStore, news: Sequence[ReportNews], at: datetime) -> None:
    """Write messages down, once for each report; one that still waits untried gets the newest words."""
    with store.transaction() as session:
        for each in news:
            message = report_message(each)
            session.write(message, at)
            session.renew(message)


def _line(text: str) -> str:
    """A sentence of ours with names of others in it, as harmless as a name alone."""
    return escaped(one_line(text))


def _tenant_channels(catalog: Catalog, but: str | None) -> set[str]:
    return {each.report_channel for each in catalog.tenants.values() if each.report_channel and each.tenant_id != but}


def _refuse_shared(channel: str, whose: str, others: Collection[str]) -> None:
    if channel in others:
        raise ReportChannelError(
            f"the report of {whose} would go to {channel}, which others read too; "
            "give it a channel of its own (report_channel of the tenant, or ANALYTICS_EXECUTIVES_CHANNEL)"
        )
