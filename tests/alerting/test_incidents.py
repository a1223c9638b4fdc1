"""The life of an incident, step by step and as properties."""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from alert_examples import DAMPING, DAY, START, Desk, after, failed_run, finding, right, warning, wrong
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_platform.alerting.desk import UnknownIncidentError
from analytics_platform.alerting.export import INCIDENTS_SCHEMA, incidents_table
from analytics_platform.alerting.findings import Amount, Failure
from analytics_platform.alerting.incidents import Incident, LifeCycle
from analytics_platform.alerting.routing import Router
from analytics_platform.alerting.store import AlertStoreError, SqliteStore
from analytics_platform.catalog import Catalog


def test_the_same_finding_twice_changes_nothing(desk: Desk) -> None:
    assert desk.see(wrong(finding())) == ["opened"]
    before = desk.incident, desk.outbox
    assert desk.see(wrong(finding(since=after(hours=1))), after(hours=1)) == []
    assert (desk.incident, desk.outbox) == before


def test_it_recovers_when_it_is_found_right_and_not_before(desk: Desk) -> None:
    desk.see(wrong(finding()))
    assert desk.see(right(finding(day=DAY.replace(day=1))), after(minutes=5)) == []
    assert desk.see(right(finding()), after(minutes=90)) == ["recovered"]
    assert desk.said() == ["parent", "edit", "reply"]
    assert "It lasted 1 h 30 min" in desk.outbox[-1].message.text
    assert desk.incident.status == "recovered"


def test_what_is_found_wrong_and_right_at_once_is_wrong(desk: Desk) -> None:
    assert desk.see(wrong(finding())) == ["opened"]
    everything = right(finding())._replace(findings=(finding(),))
    assert desk.see(everything, after(minutes=5)) == []


def test_a_judge_of_everything_names_what_is_failing_as_found_right(desk: Desk) -> None:
    late = finding(failure=Failure.SLA_BREACHED)
    desk.see(wrong(late, finding()))
    judged = desk.desk.failing([Failure.SLA_BREACHED], after(minutes=5))
    assert judged == {late.fingerprint}
    assert desk.see(right(late), after(minutes=5)) == ["recovered"]


def test_it_is_over_only_when_check_and_run_are(desk: Desk) -> None:
    desk.see(wrong(finding(), failed_run()))
    assert desk.see(right(finding()), after(minutes=5)) == ["refreshed"]
    assert desk.incident.status == "open"
    assert desk.see(right(failed_run()), after(minutes=6)) == ["recovered"]


def test_figures_that_move_edit_the_parent_and_call_nobody(desk: Desk) -> None:
    desk.see(wrong(finding()))
    assert desk.see(wrong(finding(observed=Amount(value=13, unit="rows"))), after(minutes=5)) == ["refreshed"]
    assert desk.said() == ["parent", "edit"]
    assert "13 rows" in desk.outbox[-1].message.text


def test_a_warning_that_becomes_critical_is_told_at_once(desk: Desk) -> None:
    desk.see(wrong(finding(blocking=False)))
    assert desk.said() == []
    assert desk.see(wrong(finding(blocking=True)), after(minutes=5)) == ["updated"]
    assert desk.said() == ["parent"]


def test_what_comes_back_soon_goes_on_in_its_thread(desk: Desk) -> None:
    desk.see(wrong(finding()))
    desk.see(right(finding()), after(hours=1))
    assert desk.see(wrong(finding()), after(hours=2)) == ["reopened"]
    assert desk.said() == ["parent", "reply", "edit", "reply"]  # the newer edit took the older one's place
    assert desk.incident.recovered_at is None


def test_what_comes_back_late_is_a_new_incident(desk: Desk) -> None:
    desk.see(wrong(finding()))
    desk.see(right(finding()), after(hours=1))
    late = after(hours=1) + DAMPING.reopen_within + timedelta(seconds=1)
    assert desk.see(wrong(finding()), late) == ["opened"]
    assert len(desk.incidents) == 2


def flap(desk: Desk, times: int, minutes: int = 10) -> list[str]:
    events = []
    for number in range(times):
        events += desk.see(wrong(finding()), after(minutes=2 * number * minutes))
        events += desk.see(right(finding()), after(minutes=(2 * number + 1) * minutes))
    return events


def test_flapping_is_told_once_and_then_kept_silent(desk: Desk) -> None:
    assert flap(desk, 2) == ["opened", "recovered", "reopened", "recovered"]
    before = len(desk.outbox)
    assert desk.see(wrong(finding()), after(minutes=40)) == ["flapping"]
    assert [each.message.kind for each in desk.outbox[before:]] == ["edit", "reply"]
    told = len(desk.outbox)
    for number in range(5):
        desk.see(right(finding()), after(minutes=50 + 20 * number))
        desk.see(wrong(finding()), after(minutes=60 + 20 * number))
    assert len(desk.outbox) == told
    assert desk.incident.status == "flapping"


@pytest.mark.parametrize(("ends_failing", "event"), [(True, "steady"), (False, "recovered")])
def test_flapping_is_over_after_a_quiet_while(desk: Desk, ends_failing: bool, event: str) -> None:
    flap(desk, 3)
    if ends_failing:
        desk.see(wrong(finding()), after(minutes=60))
    quiet = desk.incident.turned_at + DAMPING.window
    assert desk.settle(quiet - timedelta(seconds=1)) == []
    assert desk.settle(quiet) == [event]
    assert desk.settle(quiet + timedelta(hours=1)) == []


def test_openings_long_ago_are_no_flapping(desk: Desk) -> None:
    for number in range(5):
        desk.see(wrong(finding()), after(hours=5 * number))
        desk.see(right(finding()), after(hours=5 * number + 4))
    assert desk.incident.status == "recovered"
    assert len(desk.incidents) == 1


def test_a_muted_incident_says_nothing_and_is_told_when_the_mute_ends(desk: Desk) -> None:
    desk.see(wrong(finding()))
    desk.desk.mute(desk.incident.id, after(hours=3), "on-call", "known", all_days=False)
    desk.see(right(finding()), after(hours=1))
    desk.see(wrong(finding()), after(hours=2))
    assert "reply" not in desk.said()
    assert desk.settle(after(hours=2)) == []
    assert desk.settle(after(hours=3)) == ["unmuted"]
    assert desk.said()[-1] == "reply"
    assert desk.settle(after(hours=4)) == []


def test_a_muted_recovery_edits_the_parent_without_a_reply(desk: Desk) -> None:
    desk.see(wrong(finding()))
    desk.desk.mute(desk.incident.id, after(hours=3), "on-call", "known", all_days=False)
    desk.see(right(finding()), after(hours=1))
    desk.settle(after(hours=3))
    assert desk.said() == ["parent", "edit"]
    assert "RECOVERED" in desk.outbox[-1].message.text


def test_a_mute_of_all_days_holds_for_days_to_come_and_a_narrow_one_does_not(desk: Desk) -> None:
    desk.see(wrong(finding()))
    desk.desk.mute(desk.incident.id, after(days=2), "on-call", "known", all_days=False)
    desk.see(wrong(finding(day=DAY.replace(day=25))), after(days=1))
    assert desk.said() == ["parent", "parent"]
    desk.desk.mute(desk.incidents[0].id, after(days=2), "on-call", "known", all_days=True)
    desk.see(wrong(finding(day=DAY.replace(day=26)), finding(tenant="other")), after(days=1))
    assert desk.said() == ["parent", "parent", "parent"]
    assert desk.settle(after(days=2)) == ["unmuted"]
    assert desk.said() == ["parent"] * 4


def test_an_unknown_incident_cannot_be_muted(desk: Desk) -> None:
    with pytest.raises(UnknownIncidentError, match="alerts list"):
        desk.desk.mute("nothing", after(hours=1), "on-call", "why", all_days=False)


def test_the_digest_has_warnings_by_channel_once_a_day(desk: Desk) -> None:
    leads = warning(dataset="raw.crm", asset="raw/crm")
    muted = warning(check="muted_check")
    desk.see(wrong(warning(), leads, muted, finding()))
    quiet = next(each for each in desk.incidents if each.cause == muted)
    desk.desk.mute(quiet.id, after(days=1), "on-call", "known", all_days=False)
    desk.see(right(leads), after(minutes=30))
    messages = desk.desk.digest(after(hours=1))
    assert [message.channel for message in messages] == ["#data-finance", "#data-growth"]
    assert "1 open, 0 recovered" in messages[0].text
    assert "0 open, 1 recovered" in messages[1].text
    assert "movements_reconcile" not in messages[0].text  # critical: it had its own message
    assert "muted_check" not in messages[0].text
    assert desk.desk.digest(after(hours=2)) == []
    (tomorrow,) = desk.desk.digest(after(days=1))
    assert tomorrow.channel == "#data-finance"


def test_a_heartbeat_a_day_says_what_was_judged_and_what_waits(desk: Desk) -> None:
    desk.see(wrong(finding(), warning()))
    beats = [desk.desk.heartbeat(after(hours=hours)) for hours in (0, 1, 24)]
    assert "1 critical, 1 warning, 0 info" in beats[0].text
    assert "checks Wed 25 Nov 2026 06:30" in beats[0].text
    assert [each.message.kind for each in desk.outbox].count("heartbeat") == 2


def test_the_export_has_times_to_detect_and_to_repair(desk: Desk) -> None:
    desk.see(wrong(finding(since=after(minutes=-20))))
    desk.see(wrong(warning()), after(minutes=1))
    desk.see(right(finding()), after(minutes=45))
    table = incidents_table(desk.incidents, {})
    assert table.schema == INCIDENTS_SCHEMA
    critical, later = table.to_pylist()
    assert (critical["minutes_to_detect"], critical["minutes_to_repair"]) == (20, 45)
    assert later["minutes_to_repair"] is None
    assert incidents_table([], {}).schema == INCIDENTS_SCHEMA


def test_a_change_and_its_messages_are_kept_together_or_not_at_all(desk: Desk) -> None:
    desk.see(wrong(finding()))
    other = desk.incident.model_copy(update={"id": "other"})
    with contextlib.suppress(ZeroDivisionError), desk.store.transaction() as session:
        session.save(other)
        raise ZeroDivisionError
    assert [each.id for each in desk.incidents] == [desk.incident.id]


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    path.write_bytes(b"this is no database, and longer than a header of one hundred bytes" * 4)
    with pytest.raises(AlertStoreError, match=r"alerts\.sqlite"), SqliteStore(path).transaction():
        pass


def test_judges_at_the_same_time_open_one_incident(desk: Desk) -> None:
    judges = [threading.Thread(target=desk.see, args=(wrong(finding()),)) for _ in range(6)]
    for judge in judges:
        judge.start()
    for judge in judges:
        judge.join()
    assert desk.said() == ["parent"]


POOL = [finding(), failed_run(), warning(), finding(tenant="other"), finding(failure=Failure.SLA_BREACHED, check=None)]
STEPS = st.lists(
    st.tuples(
        st.integers(1, 600), st.sets(st.sampled_from(range(len(POOL)))), st.sets(st.sampled_from(range(len(POOL))))
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_whatever_happens_what_fails_is_in_one_incident_and_what_is_right_in_none(
    catalog: Catalog, steps: list[tuple[int, set[int], set[int]]]
) -> None:
    cycle, known, failing, at = LifeCycle(Router(catalog), DAMPING), {}, set(), START

    def current(at: datetime) -> list[Incident]:
        return [each for each in known.values() if cycle.is_current(each, at)]

    for minutes, bad, good in steps:
        at += timedelta(minutes=minutes)
        observation = wrong(*(POOL[n] for n in sorted(bad)))._replace(
            found_right=frozenset(POOL[n].fingerprint for n in good)
        )
        for change in (partial(cycle.observe, observation=observation, at=at), partial(cycle.settle, at=at)):
            known |= {incident.id: incident for _, incident in change(current(at))}
        again = current(at)
        assert cycle.observe(again, observation, at) == []
        failing = (failing - {POOL[n].fingerprint for n in good}) | {POOL[n].fingerprint for n in bad}
        held = [each.fingerprint for incident in known.values() for each in incident.failing]
        assert sorted(map(str, held)) == sorted(map(str, failing))
        for incident in known.values():
            assert (incident.status == "recovered") == (incident.recovered_at is not None)
            assert incident.status == "flapping" or bool(incident.failing) == (incident.status == "open")
            assert Incident.model_validate_json(incident.model_dump_json()) == incident
