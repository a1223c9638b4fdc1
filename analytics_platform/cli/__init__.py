"""The ``analytics`` command: what people and scripts call.

Each verb only reads arguments, calls the room that does the work, and shows the answer; verbs stand in one module per
subject. Rooms are imported when their verb is called, so that ``analytics --help`` answers at once. An expected failure
is one line on standard error that says what, why and the mend, with exit code 1; wrong usage is exit code 2.
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

_NOT_FOR_OTHERS = 0o007


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="analytics-platform")
@click.pass_context
def main(context: click.Context) -> None:
    """Events in, eight executive KPIs and five dashboards out."""
    # A home holds who did what, and pages of one tenant: nothing of it is for other users of the machine.
    before = os.umask(_NOT_FOR_OTHERS)
    os.umask(before | _NOT_FOR_OTHERS)
    context.call_on_close(lambda: os.umask(before))


main.add_command(pipeline.import_)
main.add_command(pipeline.run)
main.add_command(pipeline.backfill)
main.add_command(pipeline.sql)
main.add_command(pipeline.demo)
main.add_command(pipeline.up)
main.add_command(pipeline.manifest)
main.add_command(init.init)
main.add_command(doctor.doctor)
main.add_command(taxonomy.taxonomy)
main.add_command(extension.extension)
main.add_command(segment.segment)
main.add_command(keys.keys)
main.add_command(identities.identities)
main.add_command(dead_letters.dead_letters)
main.add_command(connectors.connectors)
main.add_command(collector.collector)
main.add_command(portal.portal)
main.add_command(alerts.alerts)
main.add_command(review.review)
main.add_command(reports.report)
main.add_command(extracts.extracts)
main.add_command(retention.retention)
main.add_command(erase.erase)
main.add_command(access.access)
main.add_command(governance.governance)
main.add_command(bi.bi)
main.add_command(branch.branch)
main.add_command(migrate.migrate)
main.add_command(completion.completion)
main.add_command(backup.backup)
main.add_command(backup.restore)
main.add_command(upgrade.upgrade)
