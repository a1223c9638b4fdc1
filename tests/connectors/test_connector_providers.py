"""The shipped configurations against answers of the shape that each provider documents; none met the real service."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from connector_house import NOW, House
from played_provider import Answer, Asked, PlayedProvider

from analytics_platform.connectors.loading import AnyConnector, raw_example

pytestmark = pytest.mark.integration


def shipped(house: House, provider: PlayedProvider, name: str) -> AnyConnector:
    """A shipped configuration, with nothing changed but where the provider is."""
    body = yaml.safe_load(raw_example(name))
    body["config"]["client"]["base_url"] = provider.url
    return house.connector(name, body)


def events(house: House) -> dict[str, dict[str, Any]]:
    return {f"{row['event']} {row['message_id'].split(':')[2]}": row["properties"] for row in house.landed()}


def test_hubspot_s_contacts_become_leads(house: House, provider: PlayedProvider) -> None:
    def contact(number: int, **properties: Any) -> dict[str, Any]:
        moment = f"2026-03-0{number}T09:30:00.123Z"
        said = {"createdate": moment, "lastmodifieddate": moment, "hs_object_id": str(number), "hubspotscore": None}
        return {
            "id": str(number),
            "properties": {**said, "email": "jan@example.nl", **properties},
            "createdAt": moment,
            "updatedAt": moment,
            "archived": False,
        }

    contacts = [
        contact(1, hs_analytics_source="PAID_SEARCH"),
        contact(2, hs_analytics_source="SOMETHING_NEW"),
        contact(
            3,
            hs_analytics_source="EMAIL_MARKETING",
            lifecyclestage="customer",
            hubspotscore="42.5",
            hs_lifecyclestage_salesqualifiedlead_date="2026-03-05T10:00:00Z",
            hs_lifecyclestage_customer_date="2026-03-06T10:00:00Z",
        ),
    ]

    def answer(asked: Asked) -> Answer:
        assert (asked.method, asked.path) == ("POST", "/crm/v3/objects/contacts/search")
        start = int(asked.body.get("after", 0))
        paging = {"paging": {"next": {"after": str(start + 2), "link": "?"}}} if start + 2 < len(contacts) else {}
        return Answer({"total": len(contacts), "results": contacts[start : start + 2], **paging})

    provider.answer = answer
    connector = shipped(house, provider, "hubspot")
    account = house.run(connector, "contacts")
    assert (account.accepted, account.skipped, account.dead_lettered) == (5, 4, 0)
    found = events(house)
    assert {name: found[name]["channel"] for name in found if name.startswith("lead.created")} == {
        "lead.created 1": "paid_search",
        "lead.created 2": "other",
        "lead.created 3": "email",
    }
    assert found["lead.qualified 3"]["score"] == 42.5
    assert found["lead.converted 3"]["converted_at"] == "2026-03-06T10:00:00+00:00"
    house.run(connector, "contacts", NOW + timedelta(hours=1))
    first, later = (asked.body["filterGroups"][0]["filters"][0] for asked in (provider.asked[0], provider.asked[-1]))
    assert first == {"propertyName": "lastmodifieddate", "operator": "GTE", "value": "2022-01-01T00:00:00.000Z"}
    assert later["value"] == "2026-03-03T09:30:00.123Z"


def test_zendesk_s_tickets_are_opened_and_resolved(house: House, provider: PlayedProvider) -> None:
    def ticket(number: int, status: str, **metrics: Any) -> dict[str, Any]:
        return {
            "id": number,
            "status": status,
            "priority": None,
            "type": "incident" if number > 1 else None,
            "subject": "Dhr. Jansen",
            "requester_id": 20978392 + number,
            "assignee_id": 235323,
            "via": {"channel": "web"},
            "created_at": "2026-02-01T12:00:00Z",
            "updated_at": "2026-02-02T12:00:00Z",
            "generated_timestamp": 1769947200 + number,
            "metric_set": {"reopens": 0, "solved_at": None, **metrics},
        }

    pages: dict[str, list[dict[str, Any]]] = {
        "": [ticket(1, "open"), ticket(2, "deleted")],
        "a": [ticket(3, "solved", solved_at="2026-02-02T12:00:00Z", reopens=1)],
        "b": [],
    }
    following = {"": "a", "a": "b", "b": "b"}

    def answer(asked: Asked) -> Answer:
        assert asked.path == "/incremental/tickets/cursor.json"
        assert asked.params["include"] == "metric_sets"
        at = asked.params.get("cursor", "")
        return Answer({"tickets": pages[at], "after_cursor": following[at], "end_of_stream": at == "b"})

    provider.answer = answer
    provider.before = [Answer({"error": "rate limited"}, 429, {"Retry-After": "1"})]
    connector = shipped(house, provider, "zendesk")
    account = house.run(connector, "tickets")
    assert (account.rows, account.accepted, account.skipped, account.dead_lettered) == (3, 3, 3, 0)
    found = events(house)
    assert found["ticket.opened 1"]["category"] == "question"
    assert found["ticket.resolved 3"]["reopen_count"] == 1
    assert provider.asked[0].params["start_time"] == "1640995200"
    assert provider.asked[0].headers["authorization"].startswith("Basic ")
    provider.asked.clear()
    house.run(connector, "tickets", NOW + timedelta(hours=1))
    assert provider.asked[0].params["start_time"] == "1769947203"


def test_exact_online_s_invoices_are_issued(house: House, provider: PlayedProvider) -> None:
    def invoice(number: int, **said: Any) -> dict[str, Any]:
        return {
            "InvoiceID": f"fee88eea-f2aa-4a71-a372-33d6d83d3c{number:02d}",
            "InvoiceNumber": 26000 + number,
            "InvoiceDate": "/Date(1769904000000)/",
            "DueDate": "/Date(1772496000000)/",
            "OrderedBy": "8ba9bc05-8b8c-4b2e-8d42-1d2b0d9c1a77",
            "AmountFC": 1210.0,
            "VATAmountFC": 210.0,
            "Currency": "EUR",
            "YourRef": f"book-{number}",
            "Status": 50,
            "LineNumber": 0,
            "Timestamp": str(5_000_000 + number),
            **said,
        }

    def answer(asked: Asked) -> Answer:
        assert asked.path == "/sync/SalesInvoice/SalesInvoices"
        since = int(asked.params["$filter"].removeprefix("Timestamp gt ").removesuffix("L"))
        rows = [invoice(1), invoice(1, LineNumber=1), invoice(2, Status=20), invoice(3, YourRef="")]
        rows = [row for row in rows if int(row["Timestamp"]) > since]
        if "at" in asked.params:
            return Answer({"d": {"results": rows[2:]}})
        url = f"{provider.url}sync/SalesInvoice/SalesInvoices?$filter={asked.params['$filter']}&at=2"
        return Answer({"d": {"results": rows[:2], **({"__next": url} if rows[2:] else {})}})

    provider.answer = answer
    connector = shipped(house, provider, "exact_online")
    account = house.run(connector, "sales_invoices")
    assert (account.accepted, account.skipped, account.reasons) == (1, 2, {"schema_violation": 1})
    assert 'properties: "booking_id" is a required property' in house.letters()[0].detail
    (row,) = house.landed()
    assert row["properties"]["amount_minor"] == 121000
    assert row["properties"]["issued_at"] == "2026-02-01T00:00:00+00:00"
    house.run(connector, "sales_invoices", NOW + timedelta(hours=1))
    assert provider.asked[-1].params["$filter"] == "Timestamp gt 5000003L"


def test_moneybird_s_invoices_are_issued_and_paid(house: House, provider: PlayedProvider) -> None:
    def invoice(number: int, state: str, **said: Any) -> dict[str, Any]:
        return {
            "id": f"26486120445903016{number}",
            "invoice_id": f"2026-000{number}",
            "contact_id": "264861203795281549",
            "contact": {"firstname": "Jan", "email": "info@example.com"},
            "state": state,
            "reference": f"book-{number}",
            "invoice_date": "2026-02-01",
            "due_date": "2026-03-03",
            "currency": "EUR",
            "paid_at": None,
            "total_paid": "0.0",
            "total_price_excl_tax": "1000.0",
            "total_price_incl_tax": "1210.0",
            "updated_at": f"2026-02-0{number}T12:00:00.000Z",
            **said,
        }

    invoices = [
        invoice(1, "open"),
        invoice(2, "draft"),
        invoice(3, "paid", paid_at="2026-02-20", total_paid="1210.0"),
    ]

    def answer(asked: Asked) -> Answer:
        page = int(asked.params.get("page", 1))
        link = f'<{provider.url}sales_invoices.json?page=2&filter={asked.params["filter"]}>; rel="next"'
        return Answer(invoices[:2] if page == 1 else invoices[2:], headers={"Link": link} if page == 1 else {})

    provider.answer = answer
    connector = shipped(house, provider, "moneybird")
    account = house.run(connector, "sales_invoices")
    assert (account.accepted, account.skipped, account.dead_lettered) == (3, 3, 0)
    issued, paid = (events(house)[f"invoice.{what} 264861204459030163"] for what in ("issued", "paid"))
    assert (issued["amount_minor"], issued["tax_minor"]) == (121000, 21000)
    assert paid["paid_at"] == "2026-02-20T00:00:00+01:00"
    assert "example.com" not in str(house.landed())
    assert provider.asked[0].params["filter"] == "state:all,updated_after:2022-01-01T00:00:00.000Z"
