"""Delivery against a server that speaks Slack's API: whatever befalls a call, one message per incident afterwards."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from alert_examples import START, Desk, after, finding, right, warning, wrong
from slack_api import TOKEN, Fault, SlackServer, slack_server

from analytics_platform.alerting.delivery import BACK_OFF, LEASE, Delivery, DeliveryReport
from analytics_platform.alerting.slack import SlackClient

FINANCE = "#data-finance"
POST, UPDATE, HISTORY = "chat.postMessage", "chat.update", "conversations.history"


class Sender:
    """Delivery with a clock that tests move."""

    def __init__(self, desk: Desk, server: SlackServer, token: str = TOKEN) -> None:
        self.now = START
        client = SlackClient(token, server.address, timeout_seconds=1)
        self.delivery = Delivery(desk.store, client, clock=lambda: self.now)

    def send(self, at: datetime | None = None) -> DeliveryReport:
        self.now = at or self.now
        return self.delivery.deliver()


@pytest.fixture
def sender(desk: Desk, slack: SlackServer) -> Sender:
    return Sender(desk, slack)


def test_a_life_is_one_thread_whose_parent_shows_the_end(desk: Desk, slack: SlackServer, sender: Sender) -> None:
    desk.see(wrong(finding()))
    assert sender.send().sent == 1
    desk.see(right(finding()), after(minutes=9))
    assert sender.send(after(minutes=9)).sent == 2
    parent, reply = slack.posted(FINANCE)
    assert reply["thread_ts"] == parent["ts"]
    assert "RECOVERED" in parent["text"]
    assert (parent["edits"], desk.states) == (1, ["sent"] * 3)
    assert (parent["unfurl_links"], parent["link_names"], parent["parse"]) == (False, False, "none")
    assert sender.send(after(hours=1)).sent == 0


FAULTS = {
    "429 with Retry-After": [Fault("status", 429, "ratelimited", retry_after=0)],
    "429 until the handler gives up": [Fault("status", 429, "ratelimited", retry_after=0)] * 3,
    "500 before posting": [Fault("status", 500)],
    "500 after posting": [Fault("status", 500, after_the_work=True)],
    "503 before posting, then after": [Fault("status", 503), Fault("status", 503, after_the_work=True)],
    "internal_error after posting": [Fault("error", error="internal_error", after_the_work=True)],
    "fatal_error before posting": [Fault("error", error="fatal_error")],
    "time-out before posting": [Fault("silence")],
    "time-out after posting": [Fault("silence", after_the_work=True)],
    "cut after posting": [Fault("hang_up", after_the_work=True)],
    "cut before posting": [Fault("hang_up")],
    "a proxy's page after posting": [Fault("page", after_the_work=True)],
    "invalid_blocks": [Fault("error", error="invalid_blocks")],
    "invalid_blocks, then 500 after posting": [
        Fault("error", error="invalid_blocks"),
        Fault("status", 500, after_the_work=True),
    ],
    "429, then 500 after posting": [
        Fault("status", 429, retry_after=0),
        Fault("status", 500, after_the_work=True),
    ],
    "a token without the right": [Fault("error", error="missing_scope")],
}


@pytest.mark.parametrize("case", FAULTS)
def test_whatever_befalls_a_post_there_is_one_message_afterwards(
    desk: Desk, slack: SlackServer, sender: Sender, case: str
) -> None:
    for number in range(3):  # earlier messages, so that the one that is looked for is on a later page
        slack.answer(POST, {"channel": FINANCE, "text": f"earlier {number}", "metadata": {}})
    desk.see(wrong(finding()))
    slack.fail(POST, *FAULTS[case])
    for minutes in range(0, 30, 2):
        sender.send(after(minutes=minutes))
    assert len(slack.posted(FINANCE)) == 3 + 1
    assert desk.states == ["sent"]
    assert not slack.faults[POST]


@pytest.mark.parametrize("case", ["500 after posting", "time-out after posting", "500 before posting"])
def test_whatever_befalls_a_reply_the_thread_has_it_once(
    desk: Desk, slack: SlackServer, sender: Sender, case: str
) -> None:
    desk.see(wrong(finding()))
    sender.send()
    desk.see(right(finding()), after(minutes=1))
    slack.fail(POST, *FAULTS[case])
    for minutes in range(1, 10, 2):
        sender.send(after(minutes=minutes))
    _, reply = slack.posted(FINANCE)
    assert "Recovered" in reply["text"]
    assert desk.states == ["sent"] * 3


def test_digests_and_heartbeats_are_found_again_too(desk: Desk, slack: SlackServer, sender: Sender) -> None:
    desk.see(wrong(warning()))
    desk.desk.digest(START)
    desk.desk.heartbeat(START)
    slack.fail(POST, *[Fault("status", 500, after_the_work=True)] * 2)
    sender.send()
    report = sender.send(after(minutes=2))
    assert (report.found, len(slack.all_posted)) == (2, 2)


def test_what_is_written_again_under_its_key_is_not_sent_again(desk: Desk, slack: SlackServer, sender: Sender) -> None:
    desk.desk.heartbeat(START)
    sender.send()
    desk.see(wrong(warning()))
    desk.desk.heartbeat(after(hours=1))
    sender.send(after(hours=1))
    assert len(slack.all_posted) == 1


def test_a_message_of_which_slack_said_nothing_is_looked_for_before_it_is_repeated(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    desk.see(wrong(finding()))
    slack.fail(POST, Fault("status", 500, after_the_work=True))
    assert sender.send().errors == {"internal_error": 1}
    assert desk.states == ["unsure"]
    assert sender.send(after(seconds=29)).sent == 0  # Slack may yet show it
    report = sender.send(after(seconds=31))
    assert (report.sent, report.found, slack.count(POST)) == (1, 1, 1)


def test_blocks_that_slack_refuses_are_left_out_and_that_is_recorded(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    desk.see(wrong(finding()))
    slack.fail(POST, Fault("error", error="invalid_blocks"))
    report = sender.send()
    (message,) = slack.posted(FINANCE)
    assert "blocks" not in message
    assert "movements_reconcile" in message["text"]
    (kept,) = desk.outbox
    assert (kept.is_plain, kept.error, kept.state, report.plain) == (True, "invalid_blocks", "sent", 1)


@pytest.mark.parametrize(
    "faults",
    [
        [Fault("status", 500)] * 4,
        [Fault("silence", after_the_work=True)] * 4,
        [Fault("status", 429, retry_after=0)] * 3,
        [Fault("error", error="invalid_blocks")],
        [Fault("status", 500)] * 2,
    ],
    ids=lambda faults: f"{len(faults)} x {faults[0].kind}",
)
def test_an_edit_is_repeated_until_the_parent_shows_how_things_stand(
    desk: Desk, slack: SlackServer, sender: Sender, faults: list[Fault]
) -> None:
    desk.see(wrong(finding()))
    sender.send()
    desk.see(right(finding()), after(minutes=1))
    slack.fail(UPDATE, *faults)
    for minutes in range(1, 12, 2):
        sender.send(after(minutes=minutes))
    parent, _ = slack.posted(FINANCE)
    assert "RECOVERED" in parent["text"]


def test_a_parent_that_somebody_deleted_does_not_hold_up_the_rest(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    desk.see(wrong(finding()))
    sender.send()
    slack.posted(FINANCE).clear()
    desk.see(right(finding()), after(minutes=1))
    slack.fail(POST, Fault("error", error="thread_not_found"))
    sender.send(after(minutes=1))
    assert desk.states == ["sent", "refused", "refused"]


@pytest.mark.parametrize("missing", ["conversations.history", "conversations.list"])
def test_where_the_history_cannot_be_read_it_is_sent_rather_than_swallowed(
    desk: Desk, slack: SlackServer, sender: Sender, missing: str
) -> None:
    slack.missing_scopes.add(missing)
    desk.see(wrong(finding()))
    slack.fail(POST, Fault("status", 500))
    sender.send()
    assert sender.send(after(minutes=1)).sent == 1
    assert len(slack.posted(FINANCE)) == 1


def test_a_history_that_fails_for_a_while_is_asked_again_before_anything_is_repeated(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    desk.see(wrong(finding()))
    slack.fail(POST, Fault("status", 500, after_the_work=True))
    slack.fail(HISTORY, *[Fault("status", 500)] * 6)
    for minutes in range(0, 12, 2):
        sender.send(after(minutes=minutes))
    assert (len(slack.posted(FINANCE)), slack.count(POST)) == (1, 1)


def test_a_sender_that_died_is_followed_by_one_that_looks_first(
    desk: Desk, slack: SlackServer, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.see(wrong(finding()))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("analytics_platform.alerting.store.SqliteSession.settle", killed)
        with pytest.raises(KeyboardInterrupt):
            sender.send()
    assert desk.states == ["sending"]
    assert sender.send(after(minutes=1)).sent == 0
    assert sender.send(START + LEASE).found == 1
    assert len(slack.posted(FINANCE)) == 1


def test_two_senders_do_not_send_the_same(desk: Desk, slack: SlackServer) -> None:
    desk.see(wrong(*(finding(tenant=f"tenant-{number}") for number in range(12))))
    senders = [threading.Thread(target=Sender(desk, slack).send) for _ in range(3)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    assert len(slack.posted(FINANCE)) == 12
    assert desk.states == ["sent"] * 12


def test_replies_wait_for_their_parent_and_other_incidents_do_not(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    desk.see(wrong(finding()))
    desk.see(right(finding()), after(minutes=1))
    desk.see(wrong(finding(tenant="other")), after(minutes=1))
    slack.fail(POST, Fault("error", error="not_in_channel"))
    sender.send(after(minutes=1))
    assert desk.states == ["waiting", "waiting", "waiting", "sent"]
    sender.send(after(minutes=1) + BACK_OFF[0])
    assert desk.states == ["sent"] * 4


def test_after_a_day_without_slack_only_what_still_fails_is_told(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    desk.see(wrong(finding(), finding(tenant="other")))
    desk.see(right(finding(tenant="other")), after(hours=1))
    desk.desk.heartbeat(START)
    sender.send(after(days=2))
    (parent,) = slack.all_posted
    assert "delta-events" in parent["text"]
    assert sorted(set(desk.states)) == ["outdated", "sent"]


def test_a_refused_connection_is_tried_again_without_a_look(desk: Desk, slack: SlackServer) -> None:
    desk.see(wrong(finding()))
    with slack_server() as gone:
        address = gone.address
    down = Delivery(desk.store, SlackClient(TOKEN, address), clock=lambda: START)
    assert down.deliver().errors == {"ConnectionRefusedError": 1}
    assert Sender(desk, slack).send(after(minutes=1)).sent == 1
    assert slack.count(HISTORY) == 0


def test_a_wrong_token_keeps_everything_and_is_never_logged(
    desk: Desk, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk.see(wrong(finding()))
    secret = "xoxb-this-is-a-secret"
    report = Sender(desk, slack, token=secret).send()
    assert report.errors == {"invalid_auth": 1}
    assert secret not in caplog.text
    assert secret not in repr(desk.outbox)
    assert Sender(desk, slack).send(after(minutes=1)).sent == 1


def test_retry_after_of_slack_is_waited_for(desk: Desk, slack: SlackServer, sender: Sender) -> None:
    desk.see(wrong(finding()))
    slack.fail(POST, *[Fault("status", 429, "ratelimited", retry_after=90)] * 3)
    sender.send()
    assert desk.outbox[0].next_at - START == timedelta(seconds=90)
    assert slack.count(POST) == 3
