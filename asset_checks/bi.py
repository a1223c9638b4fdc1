"""Checks of what BI tools read: a project whose parts fit each other, links that say what they should, a fresh model.

What makes a project sound is `reporting.power_bi.review`; here each of its rules is a check.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import dagster as dg

from analytics_platform.catalog import Catalog, Dashboard, Dimension
from analytics_platform.defs import keys
from analytics_platform.defs.access import access_desk
from analytics_platform.defs.bi import REFRESH_KEY, looker_choices, looker_key, power_bi_wanted
from analytics_platform.defs.dbt import Manifest
from analytics_platform.lake.store import ObjectMissingError
from analytics_platform.reporting.looker_studio import (
    LinkError,
    LookerChoices,
    binding_problems,
    checklist,
    data_sources,
    parse_link,
)
from analytics_platform.reporting.power_bi.project import read_project
from analytics_platform.reporting.power_bi.review import RULES, Finding, Rule, review
from analytics_platform.settings import Settings
from asset_checks.factory import Facts, Scope, check
from asset_checks.grouped import Found, Told, check_group

_RULES: Mapping[Rule, tuple[str, Dimension]] = {
    "files_are_as_published": ("Every file is of its published format, and what it points to is there.", "validity"),
    "fields_are_in_the_model": ("Each field on a page is a column or measure of the model.", "consistency"),
    "columns_are_of_the_extracts": (
        "Each table has its extract's declared columns in their types, and dbt's table has them too.",
        "consistency",
    ),
    "relationships_join": ("Both ends of each relationship exist and have one type; none is missing.", "consistency"),
    "roles_follow_the_policy": (
        "Each role filters every table as the access policy says and hides the columns that it masks; an audience "
        "without a role, or a role without an audience, fails.",
        "validity",
    ),
    "measures_name_what_exists": ("All DAX names existing tables, columns and measures.", "consistency"),
    "pages_mirror_the_dashboards": (
        "Each dashboard has its page with all of its KPIs, and no page is left over.",
        "completeness",
    ),
}
"""What each rule says, and of what dimension it is."""


def bi_checks(settings: Settings, catalog: Catalog, manifest: Manifest) -> list[dg.AssetChecksDefinition]:
    """All checks of what BI tools read."""
    found = [_project_checks(settings, catalog, manifest), *_looker_checks(settings, catalog)]
    return [*found, _refresh_check()] if settings.refreshes_power_bi else found


def facts_of(rule: Rule, finding: Finding) -> Facts:
    """A finding as a check tells it; a rule that looked at nothing has not been kept."""
    failed = len(finding.problems)
    summary = f"{rule}: {finding.checked} looked at, {failed} wrong"
    return Facts(
        finding.checked > 0 and not failed, summary, {"checked": finding.checked}, finding.problems, None, failed
    )


def links_are_read_back(
    told: Mapping[str, Mapping[str, object]], boards: Sequence[Dashboard], choices: LookerChoices
) -> Facts:
    """Each stored link leads to Looker Studio and carries exactly its data sources' parameters.

    Args:
        told: what is stored, by dashboard.
        boards: the dashboards.
        choices: what the deployment chose.
    """
    offenders = []
    for board in boards:
        try:
            link = parse_link(str(told[board.name]["link"]))
        except (KeyError, LinkError, ValueError) as error:
            offenders.append(f"{board.name}: {error}")
            continue
        if link.sources != data_sources(board, choices):
            offenders.append(f"{board.name}: the link's data sources are not those of the settings")
        if link.report_id != choices.reports.get(board.name):
            offenders.append(f"{board.name}: the link's template is not that of the settings")
    summary = f"{len(offenders)} of {len(boards)} links are not as they should be"
    return Facts(not offenders, summary, {"links": len(boards)}, offenders, len(boards), len(offenders))


def fields_are_of_the_extracts(told: Mapping[str, Mapping[str, object]], catalog: Catalog) -> Facts:
    """Each stored checklist has every column of its extracts and every KPI that is read from them, and nothing else."""
    offenders, checked = [], 0
    for board in catalog.dashboards.values():
        wanted = {(each.source, each.name, each.type, each.formula) for each in checklist(catalog, board)}
        stored = told.get(board.name, {}).get("fields", ())
        assert isinstance(stored, list | tuple)
        found = {(each["source"], each["name"], each["type"], each["formula"]) for each in stored}
        checked += len(wanted)
        offenders += [f"{board.name}: {source}.{name}" for source, name, *_ in sorted(wanted ^ found, key=str)]
    summary = f"{len(offenders)} of {checked} fields are missing or not as declared"
    return Facts(checked > 0 and not offenders, summary, {"fields": checked}, offenders, checked, len(offenders))


def viewers_see_only_their_rows(
    told: Mapping[str, Mapping[str, object]], boards: Sequence[Dashboard], choices: LookerChoices
) -> Facts:
    """No data source uses its owner's credentials without picking rows by viewer: those pass by every row policy."""
    offenders = []
    for board in boards:
        stored = told.get(board.name)
        if stored is None:
            offenders.append(f"{board.name}: nothing is stored")
        else:
            offenders += binding_problems(board, parse_link(str(stored["link"])), choices)
    summary = f"{len(offenders)} data sources would show rows of others"
    return Facts(not offenders, summary, {"dashboards": len(boards)}, offenders, len(boards), len(offenders))


def refresh_is_newer_than_extracts(started_at: datetime | None, published_at: datetime | None) -> Facts:
    """The model was refreshed after the newest change of an extract.

    Args:
        started_at: when the last refresh that completed began; None where none did.
        published_at: when an object of an extract changed last; None where there is none.
    """
    if started_at is None or published_at is None:
        return Facts(False, "no refresh has completed, or no extract is published", {}, ["nothing"], 1, 1)
    late = (published_at - started_at).total_seconds()
    summary = f"the last refresh began {abs(late):.0f} s {'before' if late > 0 else 'after'} the newest extract"
    return Facts(
        late <= 0, summary, {"seconds_behind": max(0.0, late)}, ["refresh"] if late > 0 else [], 1, int(late > 0)
    )


def _project_checks(settings: Settings, catalog: Catalog, manifest: Manifest) -> dg.AssetChecksDefinition:
    """All rules in one step: the project is read once."""

    def judge(scope: Scope, _: Collection[dg.AssetKey]) -> Found:
        desk = access_desk(settings, catalog, manifest, scope.store)
        found = review(read_project(scope.store), power_bi_wanted(settings, catalog, manifest, desk))
        return {dg.AssetCheckKey(keys.POWER_BI_PROJECT, rule): facts_of(rule, found[rule]) for rule in RULES}

    told = [Told(rule, *_RULES[rule], dg.AssetCheckSeverity.ERROR) for rule in RULES]
    return check_group("power_bi_project_is_sound", told, [keys.POWER_BI_PROJECT], judge)


def _looker_checks(settings: Settings, catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    choices, boards = looker_choices(settings), list(catalog.dashboards.values())
    return [
        check(
            keys.LOOKER_STUDIO,
            "links_are_read_back",
            lambda scope: links_are_read_back(_stored(scope, boards), boards, choices),
            description="Each link leads to Looker Studio's Linking API with its data sources and nothing secret.",
            dimension="validity",
        ),
        check(
            keys.LOOKER_STUDIO,
            "fields_are_of_the_extracts",
            lambda scope: fields_are_of_the_extracts(_stored(scope, boards), catalog),
            description="Each checklist has its extracts' columns and KPIs as they are declared.",
            dimension="consistency",
        ),
        check(
            keys.LOOKER_STUDIO,
            "viewers_see_only_their_rows",
            lambda scope: viewers_see_only_their_rows(_stored(scope, boards), boards, choices),
            description="No data source with its owner's credentials, which pass by row policies, shows all rows.",
            dimension="validity",
        ),
    ]


def _refresh_check() -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        try:
            started = json.loads(scope.store.get(REFRESH_KEY))["started_at"]
        except ObjectMissingError:
            started = None
        changed = [info.modified_at for info in scope.store.list("extracts/")]
        return refresh_is_newer_than_extracts(
            datetime.fromisoformat(started) if started else None, max(changed, default=None)
        )

    return check(
        keys.POWER_BI_REFRESH,
        "refresh_is_newer_than_extracts",
        judge,
        description="The model that readers see was refreshed after the newest change of an extract.",
        dimension="timeliness",
    )


def _stored(scope: Scope, boards: Sequence[Dashboard]) -> dict[str, Mapping[str, object]]:
    found = {}
    for board in boards:
        try:
            found[board.name] = json.loads(scope.store.get(looker_key(board.name, "json")))
        except ObjectMissingError:
            continue
    return found
