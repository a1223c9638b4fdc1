"""The ``analytics`` command: what people and scripts call.

Each verb only reads arguments, calls the room that does the work, and shows the answer; verbs stand in one module per
subject. Rooms are imported when their verb is called, so that ``analytics --help`` answers at once. An expected failure
is one line on standard error that says what, why and the mend, with exit code 1 (`command`); wrong usage is 2.
"""

from __future__ import annotations

import os

import click

from analytics_platform.cli import (
    access,
    alerts,
    backup,
    bi,
    branch,
    collector,
    completion,
    connectors,
    dead_letters,
    doctor,
    erase,
    extension,
    extracts,
    governance,
    identities,
    init,
    keys,
    migrate,
    pipeline,
    portal,
    reports,
    retention,
    review,
    segment,
    taxonomy,
    upgrade,
)
from analytics_platform.cli.command import Main

_NOT_FOR_OTHERS = 0o007


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="analytics-platform")
@click.option("--home", type=click.Path(file_okay=False), help="The deployment's folder, in place of ANALYTICS_HOME.")
@click.pass_context
def main(context: click.Context, home: str | None) -> None:
    """Events in, eight executive KPIs and five dashboards out.

    Exit codes: 0 done, 1 failed or the answer is no, 2 wrong usage, 130 interrupted, 141 nobody reads the pipe.

    Examples:
        analytics doctor
        analytics import exports/ --tenant brabant-rental
        analytics run
        analytics --home /srv/analytics alerts list --json
    """
    # A home holds who did what, and pages of one tenant: nothing of it is for other users of the machine.
    before = os.umask(_NOT_FOR_OTHERS)
    os.umask(before | _NOT_FOR_OTHERS)
    context.call_on_close(lambda: os.umask(before))
    if home is not None:
        from analytics_platform.settings import PREFIX, temporary_environment

        context.with_resource(temporary_environment({f"{PREFIX}HOME": home}))


main.add_section("Begin", init.init, doctor.doctor, pipeline.demo, pipeline.up, completion.completion)
main.add_section(
    "Events in",
    pipeline.import_,
    collector.collector,
    keys.keys,
    dead_letters.dead_letters,
    identities.identities,
    connectors.connectors,
)
main.add_section("Figures out", pipeline.run, pipeline.backfill, pipeline.sql, extracts.extracts, bi.bi)
main.add_section("Readers", portal.portal, reports.report, alerts.alerts, review.review)
main.add_section("Privacy and access", access.access, retention.retention, erase.erase, governance.governance)
main.add_section(
    "Plan and models", taxonomy.taxonomy, extension.extension, segment.segment, pipeline.manifest, branch.branch
)
main.add_section("Upkeep", backup.backup, backup.restore, migrate.migrate, upgrade.upgrade)
