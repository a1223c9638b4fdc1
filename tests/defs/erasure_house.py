"""A small deployment that real clients have sent traffic to: of one who will ask to be erased, and of a neighbour."""

from __future__ import annotations

import base64
import json
import urllib.request
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from defs_house import House, new_house
from prepared import copied
from segment.analytics.client import Client

from analytics_platform.defs.run_report import RunReport
from analytics_platform.defs.runs import run_days
from analytics_platform.demo.live.servers import collecting

CAPTURES = Path(__file__).parents[1] / "fixtures" / "captures"
MINE, OTHER = "brabant-rental", "delta-events"
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
NOON = datetime.combine(YESTERDAY, time(12), UTC)


@dataclass(frozen=True)
class Human:
    """The ids of somebody who uses the platform's tenants' applications."""

    name: str

    @property
    def email(self) -> str:
        return f"{self.name}@people.example"

    @property
    def user(self) -> str:
        return f"user_{self.name}"

    @property
    def visitor(self) -> str:
        return f"visitor_{self.name}"

    @property
    def lead(self) -> str:
        return f"lead_{self.name}"

    @property
    def customer(self) -> str:
        return f"customer_{self.name}"

    @property
    def traces(self) -> tuple[str, ...]:
        """All by which the person is known."""
        return self.email, self.user, self.visitor, self.lead, self.customer


CANARY, NEIGHBOUR = Human("kanarienvogel_9f3"), Human("spatz_77c")


def filled_house(factory: pytest.TempPathFactory, home: Path) -> House:
    """Traffic of the canary and a neighbour at one tenant, and of the neighbour at another; built through the graph.

    The house is a copy of one that the session's tests share.
    """
    return _house(copied(factory, f"erasure-{YESTERDAY}", home, _fill))


def _house(home: Path) -> House:
    return new_house(home, history_start=YESTERDAY - timedelta(days=3))


def _fill(home: Path) -> None:
    house = _house(home)
    with collecting(house.settings, home / "collector.log") as url:
        for tenant, human in ((MINE, CANARY), (MINE, NEIGHBOUR), (OTHER, NEIGHBOUR)):
            send_from_server(url, tenant, human)
            send_from_browser(url, tenant, human)
    (home / "collector.log").unlink()
    assert problems(build(house)) == []


def build(house: House, first: date = YESTERDAY, last: date = YESTERDAY) -> RunReport:
    return run_days(house.settings, first, last, definitions=house.definitions)


def problems(report: RunReport) -> list[str]:
    failed = [f"{each.asset} {each.check}: {each.description}" for each in report.checks_failed]
    return [*(run.error for run in report.runs if run.error), *failed] if not report.ok else []


def send_from_server(url: str, tenant: str, human: Human) -> None:
    """What the backend sends with Segment's own client: revenue, support, a survey, and one message that is refused."""
    failures: list[Exception] = []
    client = Client(f"demo-{tenant}-server", host=url, upload_interval=0.05, on_error=lambda e, _: failures.append(e))
    client.identify(human.user, {"email": human.email, "lead_id": human.lead}, timestamp=NOON)
    for event, properties in facts(tenant, human).items():
        client.track(human.user, event, {"schema_version": 1, "tenant_id": tenant, **properties}, timestamp=NOON)
    client.flush()
    client.join()
    assert failures == []


def send_from_browser(url: str, tenant: str, human: Human) -> None:
    """What analytics.js sends from the marketing site, as it was recorded, with another visitor and event in it."""
    recorded = json.loads((CAPTURES / "segment-browser_1.84.3_standard.json").read_text())["requests"]
    (request,) = [each for each in recorded if each["body"].get("type") == "page"][:1]
    at = NOON.isoformat()
    common = {**request["body"], "anonymousId": human.visitor, "timestamp": at, "sentAt": at, "writeKey": None}
    page = {**common, "userId": None, "messageId": f"page-{tenant}-{human.name[:2]}"}
    created = {"schema_version": 1, "tenant_id": tenant, "lead_id": human.lead, "channel": "direct", "created_at": at}
    track = {**page, "type": "track", "event": "lead.created", "messageId": f"lead-{tenant}-{human.name[:2]}"}
    track["properties"] = created
    for path, body in (("/v1/p", page), ("/v1/t", track)):
        key = base64.b64encode(f"demo-{tenant}-marketing:".encode()).decode()
        headers = {"Authorization": f"Basic {key}", "Content-Type": "text/plain"}
        sent = {name: value for name, value in body.items() if value is not None}
        with urllib.request.urlopen(
            urllib.request.Request(url + path, json.dumps(sent).encode(), headers), timeout=30
        ) as answered:
            assert answered.status == 200


def facts(tenant: str, human: Human) -> dict[str, dict[str, Any]]:
    """Properties by event of what the backend says of somebody."""
    at, short = NOON.isoformat(), f"{tenant[:3]}{human.name[:2]}"
    return {
        "invoice.issued": {
            "invoice_id": f"inv{short}",
            "booking_id": f"book{short}",
            "customer_ref": human.customer,
            "amount_minor": 12_100,
            "tax_minor": 2_100,
            "currency": "EUR",
            "issued_at": at,
            "due_at": at,
        },
        "subscription.started": {
            "subscription_id": f"sub{short}",
            "customer_ref": human.customer,
            "lead_id": human.lead,
            "plan": "pro",
            "mrr_minor": 9_900,
            "currency": "EUR",
            "interval": "monthly",
            "started_at": at,
        },
        "ticket.opened": {
            "ticket_id": f"tick{short}",
            "requester_ref": human.user,
            "priority": "high",
            "category": "billing",
            "opened_at": at,
            "source": "email",
        },
        "nps.submitted": {
            "survey_id": "s1",
            "response_id": f"resp{short}",
            "respondent_ref": human.user,
            "score": 9,
            "submitted_at": at,
            "touchpoint": "onboarding",
            "comment": f"call me at {human.email}",
        },
        "lead.unheard_of": {"lead_id": human.lead, "note": human.email},
    }
