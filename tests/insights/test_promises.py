"""Every combination of what landed when and what was there when, judged on evidence that is written out here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Catalog
from analytics_platform.insights.promises import (
    Attainment,
    Build,
    BuildKey,
    Evidence,
    Holding,
    Promised,
    Receipt,
    as_table,
    evaluate,
    from_table,
    settled,
)
from asset_checks.look_back import verdicts_agree_with_their_times

ZONE = "Europe/Amsterdam"
TENANT = "brabant-rental"
DAY = date(2026, 11, 23)  # a Monday: cut-off Tuesday 01:30, gold is due at 06:00, both in Amsterdam (UTC+1)
SUNDAY = date(2026, 11, 22)
SINCE = datetime(2026, 9, 1, tzinfo=UTC)
LINEAGE = {
    "raw/billing": [],
    "raw/support": [],
    "loaded/billing": ["raw/billing"],
    "loaded/support": ["raw/support"],
    "marts/fct": ["loaded/billing", "loaded/support"],
    "kpi/kpi_mrr": ["marts/fct"],
    "dashboard/finance": ["kpi/kpi_mrr"],
}
SENT = {
    ("billing", TENANT): frozenset(DAY - timedelta(n) for n in range(1, 57) if (DAY - timedelta(n)).isoweekday() < 6),
    ("support", TENANT): frozenset[date](),
}


def at(text: str) -> datetime:
    """A moment of the Tuesday on which DAY is due, or of another day, in UTC."""
    return datetime.fromisoformat(text if "T" in text else f"2026-11-24T{text}").replace(tzinfo=UTC)


def landed(moment: str, stream: str = "billing", name: str = "a", day: date = DAY) -> Receipt:
    return Receipt(stream, day, TENANT, name, at(moment))


def held(moment: str, *names: str) -> Mapping[tuple[str, date, str], Holding]:
    return {("billing", DAY, TENANT): Holding(frozenset(names or ("a",)), at(moment))}


def run(run_id: str, started: str, **ended: str) -> dict[BuildKey, list[Build]]:
    """One run over DAY: it began at a moment, and its assets were there at others."""
    names = {asset.rpartition("/")[2] if "/" in asset else asset: asset for asset in LINEAGE}
    builds = {}
    for name, moment in ended.items():
        asset = f"loaded/{name.removeprefix('loaded_')}" if name.startswith("loaded_") else names[name]
        builds[asset, DAY, None] = [Build(at(started), at(moment), run_id)]
    return builds


def joined(*runs: Mapping[BuildKey, Sequence[Build]]) -> dict[BuildKey, list[Build]]:
    builds: dict[BuildKey, list[Build]] = {}
    for each in runs:
        for key, found in each.items():
            builds.setdefault(key, []).extend(found)
    return builds


NIGHT = run("night", "01:30", loaded_billing="01:31", loaded_support="01:31", fct="01:32", kpi_mrr="01:33")
INGESTED: dict[BuildKey, list[Build]] = {("raw/billing", DAY, TENANT): [Build(at("00:15"), at("00:16"), "ingest")]}
TOO_EARLY: dict[BuildKey, list[Build]] = {("raw/billing", DAY, TENANT): [Build(at("00:05"), at("00:12"), "ingest")]}
NOTHING = Evidence(SINCE, [], {}, {}, {}, SENT, LINEAGE)
KEPT = replace(NOTHING, receipts=[landed("00:10")], holdings=held("01:05"), builds=NIGHT)


def judged(
    catalog: Catalog,
    evidence: Evidence,
    *,
    dataset: str = "kpi.kpi_mrr",
    now: str = "12:00",
    day: date = DAY,
    promise: str = "complete_by_deadline",
    tier: str = "gold",
) -> Attainment | None:
    assets = {"raw.billing": "loaded/billing", "kpi.kpi_mrr": "kpi/kpi_mrr", "dashboard.finance": "dashboard/finance"}
    streams = ("billing",) if dataset == "raw.billing" else ("billing", "support")
    promised = Promised(dataset, "finance", catalog.sla_tiers[tier], assets[dataset], streams)
    rows = evaluate(catalog, [promised], evidence, [day], ZONE, at(now))
    of_tenant = [row for row in rows if row.tenant_id == TENANT and row.promise == promise]
    assert len(of_tenant) <= 1
    return of_tenant[0] if of_tenant else None


TABLE = [
    # what is seen, at which time of the evaluation, verdict, reason, attained at, cause
    ("not due before its deadline", KEPT, "04:59", None, "not_due", None, None),
    ("there in time", KEPT, "05:00", True, "complete", "01:33", None),
    ("nothing came", NOTHING, "05:00", False, "nothing_landed", None, "raw.billing"),
    ("never built", replace(KEPT, builds={}), "05:00", False, "not_built", None, "raw.billing"),
    (
        "loaded in time, figures failed",
        replace(KEPT, builds=run("night", "01:30", loaded_billing="01:31", loaded_support="01:31")),
        "12:00",
        False,
        "not_built",
        None,
        None,
    ),
    (
        "built after the deadline",
        replace(KEPT, builds=run("n", "05:30", loaded_billing="05:31", fct="05:32", kpi_mrr="05:33")),
        "12:00",
        False,
        "late",
        "05:33",
        "raw.billing",
    ),
    (
        "figures built by a run that began before the load was there",
        replace(
            KEPT,
            builds=joined(
                run("figures", "01:20", fct="01:40", kpi_mrr="01:41"),
                run("load", "01:30", loaded_billing="01:35", loaded_support="01:35"),
            ),
        ),
        "12:00",
        False,
        "not_built",
        None,
        None,
    ),
    (
        "figures built by a later run than the load",
        replace(
            KEPT,
            builds=joined(
                run("load", "01:10", loaded_billing="01:12"),
                run("figures", "01:30", fct="01:32", kpi_mrr="01:33"),
            ),
        ),
        "12:00",
        True,
        "complete",
        "01:33",
        None,
    ),
    (
        "came after the deadline, and is complete since",
        replace(
            NOTHING,
            receipts=[landed("08:00")],
            holdings=held("08:05"),
            builds=run("noon", "08:10", loaded_billing="08:11", fct="08:12", kpi_mrr="08:13"),
        ),
        "12:00",
        False,
        "nothing_landed",
        "08:13",
        "raw.billing",
    ),
    (
        "came between cut-off and deadline, and the night was gone",
        replace(NOTHING, receipts=[landed("03:00")], holdings=held("03:05"), builds=NIGHT),
        "12:00",
        False,
        "not_built",
        None,
        "raw.billing",
    ),
    (
        "more came after the cut-off: the day that was promised was there",
        replace(KEPT, receipts=[landed("00:10"), landed("00:45", name="b")], holdings=held("01:05", "a", "b")),
        "12:00",
        True,
        "complete",
        "01:33",
        None,
    ),
    (
        "more came before the deadline, too late for the night: it is promised by its lag alone",
        replace(
            KEPT,
            receipts=[landed("00:10"), landed("03:00", name="b")],
            holdings=held("03:05", "a", "b"),
            builds=joined(INGESTED, NIGHT),
        ),
        "12:00",
        True,
        "complete",
        "01:33",
        None,
    ),
    (
        "raw was built only before it came, as far as is known",
        replace(KEPT, holdings=held("02:00"), builds=joined(TOO_EARLY, NIGHT)),
        "12:00",
        False,
        "not_built",
        None,
        "raw.billing",
    ),
    (
        "a stream that is not expected came late: it is no part of the promise",
        replace(KEPT, receipts=[landed("00:10"), landed("09:00", "support", "z")]),
        "12:00",
        True,
        "complete",
        "01:33",
        None,
    ),
    (
        "a stream that is not expected came in time, and has to be there",
        replace(KEPT, receipts=[landed("00:10"), landed("00:11", "support", "z")]),
        "12:00",
        False,
        "not_built",
        None,
        "raw.support",
    ),
]


@pytest.mark.parametrize(
    ("evidence", "now", "is_attained", "reason", "attained", "cause"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_the_verdict_on_a_closed_day(
    catalog: Catalog,
    evidence: Evidence,
    now: str,
    is_attained: bool | None,
    reason: str,
    attained: str | None,
    cause: str | None,
) -> None:
    row = judged(catalog, evidence, now=now)
    assert row is not None
    assert (row.is_attained, row.reason, row.cause) == (is_attained, reason, cause)
    assert row.attained_at == (at(attained) if attained else None)
    assert row.promised_at == at("05:00")


def test_a_stream_is_there_when_it_is_loaded_and_is_its_own_cause(catalog: Catalog) -> None:
    kept = judged(catalog, KEPT, dataset="raw.billing")
    broken = judged(catalog, replace(KEPT, builds={}), dataset="raw.billing")
    assert kept is not None
    assert broken is not None
    assert (kept.attained_at, kept.reason) == (at("01:31"), "complete")
    assert (broken.reason, broken.cause) == ("not_built", None)


def test_a_sunday_on_which_nothing_was_to_be_expected_is_not_judged(catalog: Catalog) -> None:
    row = judged(catalog, NOTHING, day=SUNDAY)
    assert row is not None
    assert (row.is_attained, row.reason, row.attained_at) == (None, "not_expected", None)


def test_what_came_for_a_sunday_all_the_same_has_to_be_there(catalog: Catalog) -> None:
    row = judged(catalog, replace(NOTHING, receipts=[landed("2026-11-22T20:00", day=SUNDAY)]), day=SUNDAY)
    assert row is not None
    assert (row.is_attained, row.reason) == (False, "not_built")


def test_days_from_before_the_platform_ran_are_nobodys_promise(catalog: Catalog) -> None:
    assert judged(catalog, replace(KEPT, since=at("00:30"))) is None
    assert judged(catalog, replace(KEPT, since=at("00:29"))) is not None


def test_days_from_before_the_tenant_joined_are_nobodys_promise(catalog: Catalog) -> None:
    imported = replace(NOTHING, receipts=[landed("09:00")], begun={TENANT: at("09:00")})
    assert judged(catalog, imported) is None


def test_a_day_whose_landing_objects_are_gone_is_not_judged_anew(catalog: Catalog) -> None:
    worn = replace(NOTHING, sent={**SENT, ("billing", TENANT): SENT["billing", TENANT] | {DAY}})
    assert judged(catalog, worn) is None


def test_a_rewrite_of_the_raw_object_changes_no_verdict_while_the_event_log_remembers(catalog: Catalog) -> None:
    rewritten = replace(KEPT, holdings=held("2026-11-26T03:00"), builds=joined(INGESTED, NIGHT))
    assert judged(catalog, rewritten, now="2026-11-26T12:00") == judged(catalog, KEPT, now="2026-11-26T12:00")


def test_a_page_of_a_later_day_shows_the_day_too(catalog: Catalog) -> None:
    later = {("dashboard/finance", DAY + timedelta(1), None): [Build(at("02:00"), at("02:01"), "pages")]}
    earlier = {("dashboard/finance", DAY - timedelta(1), None): [Build(at("02:00"), at("02:01"), "pages")]}
    shown = judged(catalog, replace(KEPT, builds=joined(NIGHT, later)), dataset="dashboard.finance")
    missing = judged(catalog, replace(KEPT, builds=joined(NIGHT, earlier)), dataset="dashboard.finance")
    assert shown is not None
    assert missing is not None
    assert (shown.is_attained, shown.attained_at) == (True, at("02:01"))
    assert (missing.is_attained, missing.reason) == (False, "not_built")


@given(moments=st.lists(st.integers(0, 4 * 24 * 60), max_size=6))
def test_later_builds_change_no_verdict(catalog: Catalog, moments: list[int]) -> None:
    later = [at("05:00") + timedelta(minutes=n) for n in moments]
    again = [{(asset, DAY, None): [Build(n, n, f"r{n}")] for asset, _, _ in NIGHT} for n in later]
    before, after = (
        judged(catalog, replace(KEPT, builds=builds), now="2026-11-29T12:00")
        for builds in (NIGHT, joined(NIGHT, *again))
    )
    assert before == after


LAG = "landed_within_lag"
MIDDAY = replace(
    NOTHING,
    receipts=[landed("09:00", day=DAY)],
    holdings=held("09:06"),
    builds=run("load", "09:07", loaded_billing="09:08"),
)
ON = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("evidence", "now", "is_attained", "reason", "attained"),
    [
        (replace(MIDDAY, builds={}), "10:59", None, "not_due", None),
        (replace(MIDDAY, builds={}), "11:01", False, "not_built", None),
        (MIDDAY, "22:59", None, "not_due", None),
        (MIDDAY, "23:00", True, "in_time", "09:08"),
        (replace(MIDDAY, builds=run("load", "11:30", loaded_billing="11:31")), "23:00", False, "late", "11:31"),
        (replace(MIDDAY, receipts=[landed("09:00"), landed("20:59", name="b")]), "23:00", False, "not_built", None),
        (replace(MIDDAY, receipts=[landed("09:00"), landed("22:00", name="b")]), "23:00", None, "not_due", None),
    ],
)
def test_the_verdict_on_what_landed_on_a_date(
    catalog: Catalog, evidence: Evidence, now: str, is_attained: bool | None, reason: str, attained: str | None
) -> None:
    row = judged(catalog, evidence, dataset="raw.billing", day=ON, promise=LAG, now=now)
    assert row is not None
    assert (row.is_attained, row.reason, row.attained_at) == (is_attained, reason, at(attained) if attained else None)


def test_a_late_event_has_a_promise_on_the_date_of_its_landing_and_none_on_its_own_day(catalog: Catalog) -> None:
    assert judged(catalog, MIDDAY, dataset="raw.billing", day=DAY, promise=LAG) is None


def test_history_imported_before_the_platform_ran_has_no_lag(catalog: Catalog) -> None:
    imported = replace(MIDDAY, since=at("09:01"))
    assert judged(catalog, imported, dataset="raw.billing", day=ON, promise=LAG) is None


def row_of(catalog: Catalog, evidence: Evidence, now: str = "12:00") -> Attainment:
    row = judged(catalog, evidence, now=now)
    assert row is not None
    return row


def test_what_was_kept_stays_kept_when_the_evidence_has_gone(catalog: Catalog) -> None:
    kept = row_of(catalog, KEPT)
    assert settled([kept], [row_of(catalog, NOTHING)]) == [kept]
    assert settled([kept], []) == [kept]


def test_what_was_broken_stays_broken_and_is_noted_as_made_good(catalog: Catalog) -> None:
    broken = row_of(catalog, replace(KEPT, builds={}), "06:00")
    mended = row_of(
        catalog, replace(KEPT, builds=run("n", "07:00", loaded_billing="07:01", fct="07:02", kpi_mrr="07:03"))
    )
    (row,) = settled([broken], [mended])
    assert (row.is_attained, row.reason, row.attained_at) == (False, "late", at("07:03"))
    assert settled([row], [row_of(catalog, KEPT)]) == [row]


def test_a_broken_promise_is_not_kept_by_new_evidence(catalog: Catalog) -> None:
    broken = row_of(catalog, NOTHING)
    assert settled([broken], [row_of(catalog, KEPT)]) == [broken]


def test_what_was_not_due_is_decided_by_the_next_evaluation(catalog: Catalog) -> None:
    kept = row_of(catalog, KEPT)
    assert settled([row_of(catalog, KEPT, "04:00")], [kept]) == [kept]


def test_another_tier_moves_no_deadline_that_was_missed(catalog: Catalog) -> None:
    broken = row_of(catalog, replace(KEPT, builds={}))
    silver = judged(catalog, replace(KEPT, builds={}), tier="silver")
    assert silver is not None
    assert settled([broken], [silver]) == [broken]


@given(
    minutes=st.lists(st.integers(0, 4 * 24 * 60), min_size=1, max_size=5, unique=True),
    case=st.sampled_from([row[1] for row in TABLE]),
)
def test_it_makes_no_difference_how_often_and_when_it_was_evaluated(
    catalog: Catalog, minutes: list[int], case: Evidence
) -> None:
    moments = sorted(at("04:00") + timedelta(minutes=n) for n in minutes)
    rows: list[Attainment] = []
    for moment in moments:
        rows = settled(rows, [row_of(catalog, case, moment.isoformat()[:16])])
    assert rows == [row_of(catalog, case, moments[-1].isoformat()[:16])]


@given(minutes=st.integers(-600, 4 * 24 * 60), case=st.sampled_from([*(row[1] for row in TABLE), MIDDAY]))
def test_whenever_it_is_judged_verdict_and_times_agree(catalog: Catalog, minutes: int, case: Evidence) -> None:
    moment = (at("04:00") + timedelta(minutes=minutes)).isoformat()[:16]
    rows = [judged(catalog, case, dataset="raw.billing", day=ON, promise=LAG, now=moment)]
    rows += [judged(catalog, case, dataset=name, now=moment) for name in ("raw.billing", "kpi.kpi_mrr")]
    facts = verdicts_agree_with_their_times([asdict(row) for row in rows if row])
    assert facts.passed, facts.offenders


def test_rows_come_back_from_the_table_as_they_were(catalog: Catalog) -> None:
    rows = [row_of(catalog, KEPT), replace(row_of(catalog, NOTHING), tenant_id="delta-events")]
    assert from_table(as_table(rows)) == rows
