"""The message of a report: to whom it goes, and that it arrives once with its pictures, whatever befalls a call."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from alert_examples import START, Desk, after
from slack_api import TOKEN, UPLOAD, Fault, SlackServer

from analytics_platform.alerting.delivery import Delivery
from analytics_platform.alerting.outbox import UNSENT, Attachment
from analytics_platform.alerting.reports import ReportChannelError, ReportNews, report_channel, report_message, tell
from analytics_platform.alerting.slack import SlackClient
from analytics_platform.catalog import Catalog
from analytics_platform.lake.store import ObjectMissingError

PICTURE = b"\x89PNG thirteen weeks"
POST, GET_URL, COMPLETE = "chat.postMessage", "files.getUploadURLExternal", "files.completeUploadExternal"
SHOWN = Attachment(
    key="reports/all.png", sha256=hashlib.sha256(PICTURE).hexdigest(), filename="weekly.png", alt="Lines"
)
NEWS = ReportNews(
    key="report weekly 2026-11-16 all",
    channel="#executives",
    title="Weekly report",
    subtitle="Week 47 · All tenants",
    sentences=["Revenue rose by 1.9%.", "Delivery <!channel> & co fell."],
    figures=[("Monthly recurring revenue", "€141,819 ▲ +1.9%"), ("Net promoter score", "+40.5")],
    where="analytics report show 2026-11-16 --audience all",
    pictures=[SHOWN],
)


class Sender:
    """Delivery with a lake of one picture and a clock that tests move."""

    def __init__(self, desk: Desk, server: SlackServer) -> None:
        self.now = START
        self.lake = {"reports/all.png": PICTURE}
        client = SlackClient(TOKEN, server.address, timeout_seconds=1)
        self.delivery = Delivery(desk.store, client, clock=lambda: self.now, read=self._read)

    def _read(self, key: str) -> bytes:
        if key not in self.lake:
            raise ObjectMissingError(f"{key} is not in the lake")
        return self.lake[key]

    def send_for(self, minutes: int) -> None:
        for minute in range(0, minutes, 2):
            self.now = after(minutes=minute)
            self.delivery.deliver()


@pytest.fixture
def sender(desk: Desk, slack: SlackServer) -> Sender:
    return Sender(desk, slack)


def test_a_report_is_one_message_with_words_figures_and_its_picture(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    tell(desk.store, [NEWS], START)
    sender.send_for(2)
    (message,) = slack.all_posted
    assert message in slack.posted("#executives")
    assert slack.shown_pictures(message) == [PICTURE]
    assert "Revenue rose by 1.9%." in message["text"]
    assert "<!channel>" not in str(message)
    assert "&lt;!channel&gt; &amp; co" in message["text"]
    assert [block["type"] for block in message["blocks"]] == ["header", "section", "section", "context", "image"]


AFTER_500 = Fault("status", 500, after_the_work=True)
LIMITED = Fault("status", 429, "ratelimited", retry_after=0)
FAULTS: dict[str, dict[str, list[Fault]]] = {
    "429 for the address": {GET_URL: [LIMITED]},
    "429 until the handler gives up": {GET_URL: [LIMITED] * 3},
    "500 for the address, after the work": {GET_URL: [AFTER_500]},
    "500 for the bytes": {UPLOAD: [Fault("status", 500)]},
    "500 for the bytes, after the work": {UPLOAD: [AFTER_500]},
    "time-out of the bytes": {UPLOAD: [Fault("silence")]},
    "cut while sending bytes": {UPLOAD: [Fault("hang_up", after_the_work=True)]},
    "500 for the end of the upload, after the work": {COMPLETE: [AFTER_500]},
    "time-out of the end of the upload, after the work": {COMPLETE: [Fault("silence", after_the_work=True)]},
    "500 after posting": {POST: [AFTER_500]},
    "time-out after posting": {POST: [Fault("silence", after_the_work=True)]},
    "500 before posting": {POST: [Fault("status", 500)]},
    "invalid_blocks, while Slack looks at the file": {POST: [Fault("error", error="invalid_blocks")]},
    "invalid_blocks twice, then 500 after posting": {
        POST: [Fault("error", error="invalid_blocks")] * 2 + [AFTER_500],
    },
    "everything once": {GET_URL: [LIMITED], UPLOAD: [AFTER_500], COMPLETE: [AFTER_500], POST: [AFTER_500]},
}


@pytest.mark.parametrize("case", FAULTS)
def test_whatever_befalls_a_call_there_is_one_message_with_its_picture_afterwards(
    desk: Desk, slack: SlackServer, sender: Sender, case: str
) -> None:
    tell(desk.store, [NEWS], START)
    for method, faults in FAULTS[case].items():
        slack.fail(method, *faults)
    sender.send_for(90)
    (message,) = slack.all_posted
    assert slack.shown_pictures(message) == [PICTURE]
    assert desk.states == ["sent"]
    assert not any(slack.faults.values())


def test_blocks_that_stay_refused_leave_the_words_alone_once(desk: Desk, slack: SlackServer, sender: Sender) -> None:
    tell(desk.store, [NEWS], START)
    slack.fail(POST, *[Fault("error", error="invalid_blocks")] * 5)
    sender.send_for(240)
    (message,) = slack.all_posted
    assert not message.get("blocks")
    assert "Net promoter score: +40.5" in message["text"]
    assert desk.states == ["sent"]


def test_a_file_that_slack_lost_is_uploaded_anew(desk: Desk, slack: SlackServer, sender: Sender) -> None:
    tell(desk.store, [NEWS], START)
    with desk.store.transaction() as session:
        session.keep_file_id(NEWS.pictures[0].sha256, "F-deleted")
    sender.send_for(120)
    (message,) = slack.all_posted
    assert slack.shown_pictures(message) == [PICTURE]


def test_what_is_uploaded_is_not_uploaded_again_with_the_next_attempt(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    tell(desk.store, [NEWS], START)
    slack.fail(POST, *[Fault("error", error="channel_not_found")] * 3)
    sender.send_for(60)
    assert slack.count(UPLOAD) == 1
    assert len(slack.all_posted) == 1


def test_a_picture_that_was_replaced_since_is_not_shown_beside_older_words(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    tell(desk.store, [NEWS], START)
    sender.lake["reports/all.png"] = b"another week"
    sender.send_for(2)
    (message,) = slack.all_posted
    assert slack.shown_pictures(message) == []
    assert "Revenue rose" in message["text"]


def test_a_report_that_is_built_again_says_nothing_twice_and_its_waiting_words_are_the_newest(
    desk: Desk, slack: SlackServer, sender: Sender
) -> None:
    tell(desk.store, [NEWS], START)
    tell(desk.store, [replace(NEWS, sentences=["Corrected."])], START)
    assert len(desk.outbox) == 1
    sender.send_for(2)
    tell(desk.store, [replace(NEWS, sentences=["Corrected again."])], after(hours=1))
    sender.send_for(60)
    (message,) = slack.all_posted
    assert "Corrected." in message["text"]


def test_without_a_token_a_report_waits_until_the_next_is_due(desk: Desk, slack: SlackServer, sender: Sender) -> None:
    tell(desk.store, [NEWS], START)
    with desk.store.transaction() as session:
        session.drop_outdated(START + timedelta(days=5))
        assert len(session.outbox(UNSENT)) == 1
    sender.now = START + timedelta(days=7)
    sender.delivery.deliver()
    assert desk.states == ["outdated"]
    assert slack.all_posted == []


def test_long_words_stay_within_slacks_limits() -> None:
    news = replace(NEWS, sentences=["x" * 5000], figures=[("n" * 3000, "v" * 3000)] * 80)
    message = report_message(news)
    assert len(message.blocks) <= 50
    assert len(message.text) <= 4000


def with_channel(catalog: Catalog, **channels: str) -> Catalog:
    tenants: dict[str, Any] = {
        tenant: declared.model_copy(update={"report_channel": channels.get(tenant.replace("-", "_"))})
        for tenant, declared in catalog.tenants.items()
    }
    return catalog.model_copy(update={"tenants": tenants})


def test_staff_read_in_the_executives_channel_or_in_the_owners(catalog: Catalog) -> None:
    assert report_channel(catalog, None, "#executives", "data_platform") == "#executives"
    assert report_channel(catalog, None, None, "data_platform") == "#data-platform"


def test_a_tenants_report_goes_to_its_own_channel_or_nowhere(catalog: Catalog) -> None:
    declared = with_channel(catalog, brabant_rental="#brabant-weekly")
    assert report_channel(declared, "brabant-rental", "#executives", "data_platform") == "#brabant-weekly"
    assert report_channel(declared, "noord-rigging", "#executives", "data_platform") is None


@pytest.mark.parametrize("channel", ["#data-finance", "#executives", "#noord"])
def test_a_tenants_report_is_refused_where_others_read(catalog: Catalog, channel: str) -> None:
    declared = with_channel(catalog, brabant_rental=channel, noord_rigging="#noord")
    with pytest.raises(ReportChannelError, match=f"the report of brabant-rental would go to {channel}"):
        report_channel(declared, "brabant-rental", "#executives", "data_platform")


def test_the_report_of_all_is_refused_in_a_tenants_channel(catalog: Catalog) -> None:
    declared = with_channel(catalog, brabant_rental="#brabant-weekly")
    with pytest.raises(ReportChannelError, match="the report of all tenants"):
        report_channel(declared, None, "#brabant-weekly", "data_platform")
