"""The wire: valid against the plan but for the intended trouble, complete, pseudonymous, in the clients' form."""

from __future__ import annotations

import re
from collections import defaultdict

from demo_history import FIRST_DAY, History, Message, texts

from analytics_platform.catalog import Catalog, hash_write_key
from analytics_platform.demo import delivery

# One worker simulates the history once.
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", re.IGNORECASE)
# A number as people write it: at least nine digits in groups, with a plus or separators.
PHONE = re.compile(r"(\+\d{2}[\s\d-]{8,})|(\b0\d{1,3}[\s-]\d{3}[\s-]?\d{3,4}\b)")


def _all(histories: list[History]) -> list[Message]:
    return [message for history in histories for message in history.messages]


def test_every_tenant_sends_every_event_of_the_plan(catalog: Catalog, histories: list[History]) -> None:
    for history in histories:
        assert set(history.events) == set(catalog.events), history.tenant_id


def test_a_small_share_violates_the_plan_in_several_ways(histories: list[History]) -> None:
    refused = [message for history in histories for message in history.refused]
    assert 0.0004 < len(refused) / len(_all(histories)) < 0.003
    assert len({message["event"] for message in refused}) > 5
    assert any("." not in message["event"] for message in refused), "an event that the plan does not know"


def test_violations_are_extra_so_no_business_fact_is_lost(histories: list[History]) -> None:
    for history in histories:
        refused = {message["messageId"] for message in history.refused}
        sent_well = {message["messageId"] for message in history.messages} - refused
        assert not refused & sent_well


def test_retries_repeat_id_and_payload_with_another_time_of_sending(histories: list[History]) -> None:
    repeats = 0
    for history in histories:
        copies = defaultdict(list)
        for message in history.messages:
            copies[message["messageId"]].append(message)
        for sent in copies.values():
            for copy in sent[1:]:
                repeats += 1
                assert copy["sentAt"] > sent[0]["sentAt"]
                times = ("sentAt", "receivedAt")
                assert all(copy[name] == sent[0][name] for name in copy if name not in times)
    share = repeats / len(_all(histories))
    assert 0.6 * delivery.DUPLICATE_SHARE < share < 1.5 * delivery.DUPLICATE_SHARE


def test_some_messages_arrive_hours_late(histories: list[History]) -> None:
    late = sum(message["timestamp"][:13] < message["receivedAt"][:11] + "00" for message in _all(histories))
    assert late > 20, "late enough to land on another day than they arrived"


def test_every_message_names_its_tenant_and_carries_its_key(catalog: Catalog, histories: list[History]) -> None:
    for history in histories:
        registered = {key.sha256: key for key in catalog.tenants[history.tenant_id].write_keys}
        for message in history.messages:
            assert message["properties"]["tenant_id"] == history.tenant_id
            key = registered[hash_write_key(message["writeKey"])]
            is_of_site = message["type"] in ("page", "identify") or message["event"] == "lead.created"
            if message["type"] == "page":
                assert key.site == "marketing"
            assert is_of_site or key.site == "product"


def test_every_message_has_a_user_or_a_visitor(histories: list[History]) -> None:
    assert all(message.get("userId") or message.get("anonymousId") for message in _all(histories))


def test_nothing_looks_like_a_mail_address_or_a_phone_number(histories: list[History]) -> None:
    for message in _all(histories):
        for text in texts({name: message[name] for name in message if name not in ("messageId", "anonymousId")}):
            assert not EMAIL.search(text), text
            assert not PHONE.search(text), text


def test_visits_carry_their_campaign_and_lead_to_the_lead_by_the_visitor(histories: list[History]) -> None:
    for history in histories:
        visitors = {message["anonymousId"] for message in history.messages if message["type"] == "page"}
        created = [m for m in history.messages if m["type"] == "track" and m["event"] == "lead.created"]
        leads = [lead for lead in created if lead["properties"].get("created_at", "") > FIRST_DAY.isoformat()]
        assert sum(message["anonymousId"] in visitors for message in leads) > 0.9 * len(leads)
        tagged = [m["context"]["campaign"] for m in history.messages if "campaign" in m["context"]]
        assert tagged
        assert all(campaign.keys() == {"source", "medium", "name"} for campaign in tagged)
