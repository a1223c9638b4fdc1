"""report/weekly: one report per audience for each week that is over, and the message that tells of the newest.

Thin: content and files are reporting's, words and delivery of messages alerting's, the checks are in
`asset_checks.reports`.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.alerting.outbox import Attachment
from analytics_platform.alerting.reports import ReportNews, report_channel, tell
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.sources import STAFF
from analytics_platform.reporting.weekly import (
    WEEKLY_DATASET,
    Edition,
    WeeklyReport,
    build_weekly,
    newest_week,
    report_figures,
    report_sentences,
    report_titles,
    weekly_inputs,
)
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse

_BESIDE = (keys.ANOMALIES, keys.SLA_ATTAINMENT, keys.INCIDENTS)
"""What is told beside the KPIs."""


def weekly_report_asset(settings: Settings, catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    """The report of a week, as files for every audience."""

    @dg.asset(
        key=keys.WEEKLY_REPORT,
        deps=[*(keys.extract(*source) for source in weekly_inputs(catalog)), *_BESIDE],
        partitions_def=partitions.week,
        kinds={"python", "html", "pdf"},
        description="The week that is over, for each audience: the KPIs, what moved them, and what went wrong.",
    )
    def weekly(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        monday, now = date.fromisoformat(context.partition_key), datetime.now(UTC)
        edition = Edition(settings.report_language, settings.reporting_time_zone)
        reports = build_weekly(store, warehouse, catalog, monday, edition, now)
        news: list[ReportNews] = []
        if monday == newest_week(now.astimezone(ZoneInfo(settings.reporting_time_zone)).date()):
            news = weekly_news(settings, catalog, store, reports)
            tell(SqliteStore(settings.alerts_path), news, now)
        return dg.MaterializeResult(
            metadata={
                "reports": len(reports),
                "changed": sum(report.is_changed for report in reports),
                "bytes": sum(report.bytes for report in reports),
                "messages": len(news),
                "files": dg.MetadataValue.json([key for report in reports for key in report.keys.values()]),
            }
        )

    return weekly


def weekly_news(
    settings: Settings, catalog: Catalog, store: ObjectStore, reports: Sequence[WeeklyReport]
) -> list[ReportNews]:
    """What is told of the reports: staff's in the executives' channel, a tenant's in its own or nowhere.

    Raises:
        ReportChannelError: a report would go to a channel that others read.
    """
    owner = catalog.datasets[WEEKLY_DATASET].owner
    channels = {
        report.audience: report_channel(
            catalog, None if report.audience == STAFF else report.audience, settings.executives_channel, owner
        )
        for report in reports
    }
    return [
        _news(report, channel, store.get(report.keys["png"]))
        for report in reports
        if (channel := channels[report.audience]) is not None
    ]


def _news(report: WeeklyReport, channel: str, picture: bytes) -> ReportNews:
    title, subtitle, alt = report_titles(report.content)
    week = report.content.monday.isoformat()
    return ReportNews(
        key=f"report weekly {week} {report.audience}",
        channel=channel,
        title=title,
        subtitle=subtitle,
        sentences=report_sentences(report.content),
        figures=report_figures(report.content),
        where=f"analytics report show {week} --audience {report.audience}",
        pictures=[
            Attachment(
                key=report.keys["png"],
                sha256=hashlib.sha256(picture).hexdigest(),
                filename=f"weekly-{week}.png",
                alt=alt,
            )
        ],
    )
