"""Pulls over HTTP: pages, rate limits, errors and broken answers, and a kill at each step of a run."""

from __future__ import annotations

import os
import shutil
import time
from datetime import date, timedelta
from typing import Any

import pytest
from connector_house import NOW, House
from played_provider import Answer, Asked, PlayedProvider

from analytics_platform.connectors import running
from analytics_platform.connectors.loading import AnyConnector
from analytics_platform.connectors.pulls import MissingExtraError, PullError
from analytics_platform.connectors.running import BusyConnectorError, first_rows, run_stream
from analytics_platform.connectors.state import read_state
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.manifest import parse_manifest
from analytics_platform.lake.raw import build_partitions

pytestmark = pytest.mark.integration

PAGE = 2


def helpdesk(provider: PlayedProvider, **rule: Any) -> dict[str, Any]:
    """A connector to a help desk that gives two tickets a page."""
    return {
        "title": "Tickets",
        "owner": "customer_success",
        "source": "rest_api",
        "tenant": "brabant-rental",
        "config": {
            "client": {"base_url": provider.url, "auth": {"type": "bearer", "token": {"secret": "helpdesk"}}},
            "resources": [
                {
                    "name": "tickets",
                    "endpoint": {
                        "path": "tickets",
                        "params": {"since": "{incremental.start_value}"},
                        "data_selector": "tickets",
                        "incremental": {"cursor_path": "updated_at", "initial_value": "2026-01-01T00:00:00Z"},
                        "paginator": {"type": "json_link", "next_url_path": "next"},
                    },
                }
            ],
        },
        "streams": {
            "tickets": {
                "rules": {
                    "opened": {
                        "event": "ticket.opened",
                        "key": ["id"],
                        "on_change": "keep_first",
                        "properties": {
                            "ticket_id": "id",
                            "requester_ref": "requester",
                            "priority": {"column": "priority", "default": "normal"},
                            "category": {"constant": "question"},
                            "opened_at": "created_at",
                            "source": "via.channel",
                        },
                        **rule,
                    }
                }
            }
        },
    }


def ticket(number: int, **said: Any) -> dict[str, Any]:
    moment = f"2026-05-{number:02d}T09:00:00Z"
    return {
        "id": number,
        "requester": f"user-{number}",
        "priority": None,
        "created_at": moment,
        "updated_at": moment,
        "subject": "Dhr. Jansen, jan@example.nl",
        "via": {"channel": "email"},
        **said,
    }


def serving(provider: PlayedProvider, tickets: list[dict[str, Any]]) -> None:
    """Serve tickets from `since` on, page by page."""

    def answer(asked: Asked) -> Answer:
        found = [each for each in tickets if each["updated_at"] >= asked.params["since"]]
        start = int(asked.params.get("at", 0))
        following = f"/tickets?since={asked.params['since']}&at={start + PAGE}"
        more = start + PAGE < len(found)
        return Answer({"tickets": found[start : start + PAGE], "next": following if more else None})

    provider.answer = answer


def test_pages_are_followed_and_the_next_run_asks_from_the_cursor(house: House, provider: PlayedProvider) -> None:
    connector = house.connector("desk", helpdesk(provider))
    tickets = [ticket(number) for number in range(1, 6)]
    serving(provider, tickets)
    assert house.run(connector, "tickets").accepted == 5
    assert len(provider.asked) == 3
    assert provider.asked[0].headers["authorization"] == "Bearer s3cret-token"

    provider.asked.clear()
    tickets.append(ticket(6))
    account = house.run(connector, "tickets", NOW + timedelta(hours=1))
    assert (account.accepted, account.dead_lettered) == (1, 0)
    assert provider.asked[0].params["since"] == "2026-05-05T09:00:00Z"
    assert [row["message_id"] for row in house.landed()] == [f"desk:ticket.opened:{n}" for n in range(1, 7)]


def test_a_changed_row_is_kept_as_it_was_first_or_is_told(house: House, provider: PlayedProvider) -> None:
    kept = house.connector("desk", helpdesk(provider))
    told = house.connector("strict", helpdesk(provider, on_change="dead_letter"))
    versions = house.connector("versions", helpdesk(provider, version=["updated_at"]))
    for hour, change in enumerate([{}, {"priority": "urgent", "updated_at": "2026-05-20T09:00:00Z"}]):
        serving(provider, [ticket(1, **change)])
        accounts = [house.run(each, "tickets", NOW + timedelta(hours=hour)) for each in (kept, told, versions)]
    found = [(each.accepted, each.duplicates, each.changed, each.reasons) for each in accounts]
    assert found == [(0, 1, 1, {}), (0, 0, 0, {"id_conflict": 1}), (1, 0, 0, {})]


def test_a_busy_provider_is_waited_for_as_long_as_it_asks(house: House, provider: PlayedProvider) -> None:
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(1)])
    provider.before = [
        Answer({}, 429, {"retry-after": "1"}),
        Answer("<html>", 502, {"retry-after": "1"}),
    ]
    began = time.monotonic()
    assert house.run(connector, "tickets").accepted == 1
    assert time.monotonic() - began >= 2
    assert len(provider.asked) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer({"error": "jan@example.nl"}, 401), "answered 401; see that the secret"),
        (Answer({"error": "x"}, 404), "answered 404; see the provider's status"),
        (Answer('{"tickets": [{"id": 1'), "no JSON"),
    ],
)
def test_what_a_source_gets_wrong_ends_the_run_and_lands_nothing(
    house: House, provider: PlayedProvider, answer: Answer, said: str
) -> None:
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(number) for number in range(1, 6)])
    whole = provider.answer
    provider.answer = lambda asked: answer if "at" in asked.params else whole(asked)  # the second page
    with pytest.raises(PullError, match=said) as raised:
        run_stream(house.deployment, connector, "tickets", NOW)
    assert "jan@" not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert house.landed() == []
    provider.answer = whole
    assert house.run(connector, "tickets").accepted == 5


def assert_balanced(house: House) -> None:
    """What was received is in raw or among the dead letters, as the platform's own ledger counts it."""
    build_partitions(house.store, streams=list(house.catalog.streams), partitions=landed_partitions(house.store))
    ledger = ledger_rows(house.store, date(2026, 1, 1), date(2026, 12, 31))
    assert ledger.num_rows
    assert unbalanced(ledger).to_pylist() == []


class Killed(BaseException):
    """The process ends here."""


def kill_at(step: str, house: House, connector: AnyConnector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a run of tickets that comes as far as a step."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(f"analytics_platform.connectors.running.{step}", killed)
        with pytest.raises(Killed):
            run_stream(house.deployment, connector, "tickets", NOW)


@pytest.mark.parametrize("step", ["Staging.complete", "Lander.finish", "_Run._advance", "Staging.clear", "put_state"])
def test_a_run_that_is_killed_loses_nothing_and_doubles_nothing(
    house: House, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    connector = house.connector("desk", helpdesk(provider))
    tickets = [ticket(number) for number in range(1, 4)] + [ticket(9, requester="not a reference")]
    serving(provider, tickets)
    kill_at(step, house, connector, monkeypatch)
    account = house.run(connector, "tickets", NOW + timedelta(minutes=1))
    assert [row["message_id"] for row in house.landed()] == [f"desk:ticket.opened:{n}" for n in (1, 2, 3)]
    assert {letter.reason for letter in house.letters()} == {"schema_violation"}
    assert account.accepted + account.duplicates >= 3
    assert house.staged() == []
    assert_balanced(house)
    serving(provider, [*tickets, ticket(10)])
    assert house.run(connector, "tickets", NOW + timedelta(hours=1)).accepted == 1


def test_what_a_killed_run_refused_is_the_same_dead_letter_again(
    house: House, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(9, requester="not a reference")])
    kill_at("_Run._advance", house, connector, monkeypatch)
    house.run(connector, "tickets", NOW + timedelta(hours=3))
    assert len(house.letters()) == 1


@pytest.mark.parametrize("step", ["Staging.complete", "Lander.finish", "_Run._advance", "put_state"])
def test_a_run_that_is_killed_with_its_home_reads_from_where_the_lake_says(
    house: House, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(number) for number in range(1, 4)])
    kill_at(step, house, connector, monkeypatch)
    shutil.rmtree(house.root / "files")
    house.run(connector, "tickets", NOW + timedelta(minutes=1))
    assert [row["message_id"] for row in house.landed()] == [f"desk:ticket.opened:{n}" for n in (1, 2, 3)]
    assert_balanced(house)


def test_a_batch_whose_rows_were_erased_is_read_again(
    house: House, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(1)])
    kill_at("_Run._land", house, connector, monkeypatch)
    (house.root / "files/staging/desk/tickets/rows.ndjson").unlink()
    assert house.run(connector, "tickets").accepted == 1


def test_two_runs_of_a_stream_exclude_each_other(house: House, provider: PlayedProvider) -> None:
    connector = house.connector("desk", helpdesk(provider))
    with running._alone(house.deployment, connector, "tickets"), pytest.raises(BusyConnectorError, match="desk"):
        run_stream(house.deployment, connector, "tickets", NOW)


def test_trying_shows_masked_rows_and_lands_nothing(house: House, provider: PlayedProvider) -> None:
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(1), ticket(2, requester="not a reference"), ticket(3)])
    shown = first_rows(house.deployment, connector, "tickets", 2, NOW)
    assert [each.outcome for each in shown] == ["accepted", "schema_violation"]
    assert shown[0].properties["requester_ref"] == "***"
    assert shown[0].properties["ticket_id"] == "1"
    assert house.store.list("") == []
    assert read_state(house.store, "desk", "tickets").last is None


def test_only_the_columns_that_rules_read_are_kept(
    house: House, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(1, requester="not a reference")])
    kill_at("_Run._land", house, connector, monkeypatch)
    assert b"Jansen" not in (house.root / "files/staging/desk/tickets/rows.ndjson").read_bytes()
    house.run(connector, "tickets")
    assert b"Jansen" not in house.letters()[0].raw
    assert b"not a reference" in house.letters()[0].raw


def test_the_account_and_the_manifest_count_the_same(house: House, provider: PlayedProvider) -> None:
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(1), ticket(1), ticket(2, requester="not a reference")])
    account = house.run(connector, "tickets")
    counts = list(parse_manifest(house.store.get(account.manifests[0])).counts.values())
    assert sum(each.received for each in counts) == 3
    assert sum(each.dead_lettered for each in counts) == account.dead_lettered == 1


def test_dlt_sends_no_telemetry_and_writes_nowhere_else(
    house: House, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlt.common.runtime import anon_tracker

    home = house.root / "somebody"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    connector = house.connector("desk", helpdesk(provider))
    serving(provider, [ticket(1)])
    assert house.run(connector, "tickets").accepted == 1
    assert anon_tracker._ANON_TRACKER_ENDPOINT is None
    assert list(home.rglob("*")) == []
    assert "RUNTIME__DLTHUB_TELEMETRY" not in os.environ


def test_without_dlt_the_error_names_the_extra(
    house: House, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "dlt", None)
    connector = house.connector("desk", helpdesk(provider))
    with pytest.raises(MissingExtraError, match=r"install analytics-platform\[connectors\]"):
        run_stream(house.deployment, connector, "tickets", NOW)
