"""The rules between declarations: what is named must exist, what is promised twice must agree, what must be unique is.

Each rule is a small function from the catalogue to the problems it sees; ``RULES`` lists them all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from analytics_platform.catalog.errors import Problem
from analytics_platform.catalog.governance import pattern_covers, staging_datasets
from analytics_platform.catalog.model import Catalog
from analytics_platform.catalog.plan import OTHER_MEASURES, Stream


def find_problems(catalog: Catalog) -> list[Problem]:
    """All breaches of all rules, in the order of the rules."""
    return [problem for rule in RULES for problem in rule(catalog)]


def _unknown(file: str, field: str, name: str, kind: str, known: Iterable[str]) -> Iterator[Problem]:
    known = list(known)
    if name not in known:
        yield Problem(file, field, f"{name!r} is not {kind}", f"write one of {', '.join(known)}")


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _streams_name_what_exists(catalog: Catalog) -> Iterator[Problem]:
    for stream in catalog.streams.values():
        file = f"plan/{stream.name}.yaml"
        yield from _unknown(file, "owner", stream.owner, "an owner", catalog.owners)
        yield from _unknown(file, "sla_tier", stream.sla_tier, "an SLA tier", catalog.sla_tiers)
        yield from _unknown(
            file, "retention_class", stream.retention_class, "a retention class", catalog.retention_classes
        )
        measures = [*catalog.kpis, *sorted(OTHER_MEASURES)]
        for event in stream.events:
            for measure in event.feeds:
                yield from _unknown(file, f"events[{event.name}].feeds", measure, "a KPI", measures)


def _streams_and_events_are_unique(catalog: Catalog) -> Iterator[Problem]:
    first_with: dict[int, Stream] = {}
    first_home: dict[str, Stream] = {}
    for stream in catalog.streams.values():
        file = f"plan/{stream.name}.yaml"
        if (taken_by := first_with.setdefault(stream.order, stream)) is not stream:
            yield Problem(file, "order", f"{stream.order} is that of {taken_by.name} too", "write another number")
        for event in stream.events:
            if (home := first_home.setdefault(event.name, stream)) is not stream:
                what = f"is declared in plan/{home.name}.yaml too"
                yield Problem(file, f"events[{event.name}]", what, "keep it in the stream that emits it")


def _kpis_name_what_exists(catalog: Catalog) -> Iterator[Problem]:
    for kpi in catalog.kpis.values():
        yield from _unknown("kpis.yaml", f"{kpi.name}.owner", kpi.owner, "an owner", catalog.owners)
        told = {"anomalies": kpi.anomalies.owner, **{f"alerts[{alert.name}]": alert.owner for alert in kpi.alerts}}
        for rule, owner in told.items():
            if owner is not None:
                yield from _unknown("kpis.yaml", f"{kpi.name}.{rule}.owner", owner, "an owner", catalog.owners)
        yield from _unknown("kpis.yaml", f"{kpi.name}.dashboard", kpi.dashboard, "a dashboard", catalog.dashboards)
        tables = {kpi.headline_table: "headline.table", kpi.table: "table"}
        for table, field in tables.items():
            if table not in catalog.datasets:
                mend = "register it in datasets.yaml or mend its name"
                yield Problem("kpis.yaml", f"{kpi.name}.{field}", f"{table!r} is not a registered dataset", mend)
        home = catalog.dashboards.get(kpi.dashboard)
        if home is not None and kpi.name not in home.kpis:
            mend = f"add {kpi.name} to {home.name}.kpis in dashboards.yaml or name another dashboard"
            yield Problem("kpis.yaml", f"{kpi.name}.dashboard", f"{home.name} does not show the KPI", mend)


def _headlines_are_published(catalog: Catalog) -> Iterator[Problem]:
    """A page is drawn from extracts alone: what a headline and its drill-downs read must be in one of them."""
    extracts = [extract for dashboard in catalog.dashboards.values() for extract in dashboard.extracts]
    for kpi in catalog.kpis.values():
        needed = kpi.columns
        published = [{c.name for c in extract.columns} for extract in extracts if extract.source == kpi.headline_table]
        detail = kpi.detail.table if kpi.detail else kpi.headline_table
        finer = [{c.name for c in extract.columns} for extract in extracts if extract.source == detail]
        if not any(needed | set(kpi.page_drill_downs) <= columns for columns in finer):
            what = f"no extract of {detail} has {', '.join(sorted(needed | set(kpi.page_drill_downs)))}"
            mend = "add the columns to an extract in dashboards.yaml"
            yield Problem("kpis.yaml", f"{kpi.name}.detail", what, mend)
        if not any(needed <= columns for columns in published):
            what = f"no extract of {kpi.headline_table} has {', '.join(sorted(needed))}"
            yield Problem(
                "kpis.yaml", f"{kpi.name}.headline", what, "add the columns to the extract in dashboards.yaml"
            )


def _headlines_can_be_added_over_tenants(catalog: Catalog) -> Iterator[Problem]:
    """Pence and euro cents make no sum: of an amount that is published in both, a headline reads the reporting one."""
    extracts = [extract for dashboard in catalog.dashboards.values() for extract in dashboard.extracts]
    for kpi in catalog.kpis.values():
        tables = (extract for extract in extracts if extract.source == kpi.headline_table)
        published = {column.name for extract in tables for column in extract.columns}
        for term in (*kpi.headline.numerator, *kpi.headline.denominator):
            own = term.removeprefix("-")
            in_reporting = f"{own.removesuffix('_minor')}_reporting_minor"
            if own.endswith("_minor") and in_reporting in published:
                what = f"{own} is in each tenant's own currency, which cannot be added over tenants"
                yield Problem("kpis.yaml", f"{kpi.name}.headline", what, f"write {in_reporting}")


def _dashboards_name_what_exists(catalog: Catalog) -> Iterator[Problem]:
    file = "dashboards.yaml"
    for dashboard in catalog.dashboards.values():
        yield from _unknown(file, f"{dashboard.name}.owner", dashboard.owner, "an owner", catalog.owners)
        for kpi in dashboard.kpis:
            yield from _unknown(file, f"{dashboard.name}.kpis", kpi, "a KPI", catalog.kpis)
        for kpi in _repeated(dashboard.kpis):
            yield Problem(file, f"{dashboard.name}.kpis", f"{kpi} is named twice", "keep one of the two")
        for extract in dashboard.extracts:
            at = f"{dashboard.name}.extracts[{extract.name}]"
            yield from _unknown(file, f"{at}.owner", extract.owner, "an owner", catalog.owners)
            if extract.source is not None and extract.source not in catalog.datasets:
                mend = "register it in datasets.yaml or mend its name"
                yield Problem(file, f"{at}.source", f"{extract.source!r} is not a registered dataset", mend)


def _datasets_name_what_exists(catalog: Catalog) -> Iterator[Problem]:
    file = "datasets.yaml"
    derived = staging_datasets(catalog.streams.values())  # right where their stream is, which has a rule of its own
    for name, dataset in catalog.datasets.items():
        if name in derived:
            continue
        yield from _unknown(file, f"{name}.owner", dataset.owner, "an owner", catalog.owners)
        yield from _unknown(
            file, f"{name}.retention_class", dataset.retention_class, "a retention class", catalog.retention_classes
        )
        if dataset.sla_tier is not None:
            yield from _unknown(file, f"{name}.sla_tier", dataset.sla_tier, "an SLA tier", catalog.sla_tiers)


def _every_sink_is_registered(catalog: Catalog) -> Iterator[Problem]:
    """Retention and erasure act on the registry: what is not in it would never be deleted."""
    needed = [f"raw.{stream}" for stream in catalog.streams]
    needed += [f"dashboard.{dashboard}" for dashboard in catalog.dashboards]
    needed += list(_declared_pii(catalog))
    for name in needed:
        if name not in catalog.datasets:
            yield Problem("datasets.yaml", name, "is not registered", "add it with owner, class and PII columns")
    for name, dataset in catalog.datasets.items():
        if dataset.layer in ("extract", "dashboard") and name not in needed:
            yield Problem("datasets.yaml", name, "is not in dashboards.yaml", "remove it or declare it there")


def _raw_datasets_agree_with_the_plan(catalog: Catalog) -> Iterator[Problem]:
    for stream in catalog.streams.values():
        dataset = catalog.datasets.get(f"raw.{stream.name}")
        for key in ("owner", "sla_tier", "retention_class"):
            if dataset is not None and (planned := getattr(stream, key)) != (said := getattr(dataset, key)):
                what = f"{said!r}, but plan/{stream.name}.yaml says {planned!r}"
                yield Problem("datasets.yaml", f"raw.{stream.name}.{key}", what, f"write {planned} or mend the plan")


def _extract_datasets_agree_with_the_dashboards(catalog: Catalog) -> Iterator[Problem]:
    for name, declared in _declared_pii(catalog).items():
        dataset = catalog.datasets.get(name)
        if dataset is not None and set(dataset.pii_columns) != declared:
            what = f"{sorted(dataset.pii_columns)}, but dashboards.yaml classes {sorted(declared)} as PII"
            yield Problem("datasets.yaml", f"{name}.pii_columns", what, f"write {sorted(declared)}")


def _declared_pii(catalog: Catalog) -> dict[str, set[str]]:
    """The names of all extract datasets, with the columns that are PII by their declaration."""
    return {
        f"extracts.{dashboard.name}.{extract.name}": {column.name for column in extract.columns if column.pii != "none"}
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
    }


def _every_stream_has_limits(catalog: Catalog) -> Iterator[Problem]:
    file = "stream_quality.yaml"
    for name in catalog.streams.keys() - catalog.stream_quality.keys():
        yield Problem(file, name, "is not there", "add the stream with its limits, or no check watches it")
    for name in catalog.stream_quality:
        yield from _unknown(file, name, name, "a stream", catalog.streams)


def _references_name_what_exists(catalog: Catalog) -> Iterator[Problem]:
    file = "references.yaml"
    for reference in catalog.references.values():
        ends = {
            "event": ("field", reference.event, reference.field),
            "to": ("to_field", reference.to, reference.to_field),
        }
        for key, (field_key, event_name, field) in ends.items():
            yield from _unknown(file, f"{reference.name}.{key}", event_name, "an event", catalog.events)
            if event_name in catalog.events:
                known = [each.name for each in catalog.events[event_name].all_fields]
                at = f"{reference.name}.{field_key}"
                yield from _unknown(file, at, field, f"a property of {event_name}", known)


def _value_limits_name_what_exists(catalog: Catalog) -> Iterator[Problem]:
    """Of columns the models know, which a test compares: the catalogue does not read them."""
    for name in catalog.value_limits:
        if name not in catalog.datasets:
            what = f"{name!r} is not a registered dataset"
            yield Problem("value_limits.yaml", name, what, "register it in datasets.yaml or mend its name")


def _roles_cover_what_exists(catalog: Catalog) -> Iterator[Problem]:
    for role in catalog.access_roles.values():
        for pattern in role.datasets:
            if not any(pattern_covers(pattern, name) for name in catalog.datasets):
                mend = "mend the name or register the dataset in datasets.yaml"
                yield Problem("access_roles.yaml", f"{role.name}.datasets", f"{pattern!r} covers no dataset", mend)


def _a_role_of_the_product_means_one_of_ours(catalog: Catalog) -> Iterator[Problem]:
    holders: dict[str, str] = {}
    for role in catalog.access_roles.values():
        for name in role.meant_by:
            if (holder := holders.setdefault(name, role.name)) != role.name:
                what = f"{name!r} means {holder} too"
                yield Problem("access_roles.yaml", f"{role.name}.rbac_names", what, "let it mean one of the two")


def _reviews_name_what_exists(catalog: Catalog) -> Iterator[Problem]:
    for role in catalog.signoff_roles.values():
        yield from _unknown("signoff_roles.yaml", f"{role.name}.owner", role.owner, "an owner", catalog.owners)
    for waiver in catalog.waivers.values():
        if waiver.dataset not in catalog.datasets:
            what = f"{waiver.dataset!r} is not a registered dataset"
            yield Problem("waivers.yaml", f"{waiver.name}.dataset", what, "write a name of datasets.yaml")
    for action in catalog.review_actions.values():
        yield from _unknown("review_actions.yaml", f"{action.name}.owner", action.owner, "an owner", catalog.owners)


def _personal_data_has_a_purpose(catalog: Catalog) -> Iterator[Problem]:
    activities = catalog.processing_activities.values()
    for activity in activities:
        for pattern in activity.datasets:
            if not any(pattern_covers(pattern, name) for name in catalog.datasets):
                mend = "mend the name or register the dataset in datasets.yaml"
                field = f"{activity.name}.datasets"
                yield Problem("processing_activities.yaml", field, f"{pattern!r} covers no dataset", mend)
    for dataset in catalog.datasets.values():
        if dataset.pii_columns and not any(activity.covers(dataset.name) for activity in activities):
            mend = "name it in the activity of processing_activities.yaml that it serves"
            yield Problem("datasets.yaml", dataset.name, "holds personal data that serves no purpose", mend)


def _identifiers_name_what_exists(catalog: Catalog) -> Iterator[Problem]:
    file, known = "direct_identifiers.yaml", catalog.personal_data_patterns
    for name in catalog.direct_identifiers.patterns:
        yield from _unknown(file, f"patterns.{name}", name, "a pattern", known)


def _translations_are_complete(catalog: Catalog) -> Iterator[Problem]:
    """A text that is missing would leave half a page in another language."""
    for language, translation in catalog.translations.items():
        file = f"translations/{language}.yaml"
        texts: dict[str, tuple[Iterable[str], Iterable[str]]] = {
            "kpis": (catalog.kpis, translation.kpis),
            "dashboards": (catalog.dashboards, translation.dashboards),
            "roles": (catalog.access_roles, translation.roles),
            **{
                f"dashboards.{name}.views": ([view.name for view in catalog.dashboards[name].views], text.views)
                for name, text in translation.dashboards.items()
                if name in catalog.dashboards
            },
        }
        for kind, (declared, translated) in texts.items():
            for name in set(declared) - set(translated):
                yield Problem(file, f"{kind}.{name}", "is not translated", "add its text in this language")
            for name in translated:
                yield from _unknown(file, f"{kind}.{name}", name, f"one of the {kind}", declared)


RULES: tuple[Callable[[Catalog], Iterator[Problem]], ...] = (
    _streams_and_events_are_unique,
    _streams_name_what_exists,
    _kpis_name_what_exists,
    _dashboards_name_what_exists,
    _datasets_name_what_exists,
    _every_sink_is_registered,
    _raw_datasets_agree_with_the_plan,
    _extract_datasets_agree_with_the_dashboards,
    _roles_cover_what_exists,
    _a_role_of_the_product_means_one_of_ours,
    _every_stream_has_limits,
    _references_name_what_exists,
    _value_limits_name_what_exists,
    _headlines_are_published,
    _headlines_can_be_added_over_tenants,
    _reviews_name_what_exists,
    _personal_data_has_a_purpose,
    _identifiers_name_what_exists,
    _translations_are_complete,
)
