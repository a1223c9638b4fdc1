"""Files of connectors: what is wrong in one is told with file, field and mend, and no secret stands in one."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from connector_house import INVOICE_RULE, invoices

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.errors import CatalogError
from analytics_platform.connectors.loading import (
    EXAMPLES,
    UnknownConnectorError,
    load_connectors,
    named,
    raw_example,
)


def api() -> dict[str, Any]:
    return {
        **{key: held for key, held in invoices().items() if key != "streams"},
        "source": "rest_api",
        "config": {
            "client": {"base_url": "https://api.example.com", "auth": {"type": "bearer", "token": {"env": "TOKEN"}}},
            "resources": [{"name": "invoices", "endpoint": {"path": "invoices"}}],
        },
        "streams": {"invoices": {"rules": {"issued": INVOICE_RULE}}},
    }


def database() -> dict[str, Any]:
    body = {**api(), "source": "sql_database", "credentials": {"secret": "product"}}
    del body["config"]
    return {**body, "streams": {"invoices": {"table": "invoices", "rules": {"issued": INVOICE_RULE}}}}


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A body with something else at a path; `...` takes it out."""
    found = deepcopy(body)
    *steps, last = path.split("/")
    at: Any = found
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return found


RULE = "streams/invoices/rules/issued"
WRONG: list[tuple[dict[str, Any], str, Any, str]] = [
    (invoices(), "source", "ftp", "source: 'ftp' is no source; write one of drop, sql_database, rest_api"),
    (invoices(), "owner", "nobody", "owner: 'nobody' is no team; write one of"),
    (invoices(), "name", "x", "name: is said by the file's name already"),
    (invoices(), "time_zone", "Amsterdam", "time_zone: 'Amsterdam' is not a time zone"),
    (invoices(), "folders", "x", "folders: is not a key that is known here; write `folder` instead"),
    (invoices(), "tenant", ..., "rules.issued.tenant: is said nowhere"),
    (invoices(), "tenant", "acme", "rules.issued.tenant: 'acme' is not registered"),
    (invoices(), f"{RULE}/event", "invoice.sent", "rules.issued.event: 'invoice.sent' is not in the tracking plan"),
    (invoices(), f"{RULE}/key", [], "rules.issued.key: has too few entries"),
    (invoices(), f"{RULE}/key", ["E-mail"], "rules.issued.key[0]: 'E-mail' tells who somebody is"),
    (invoices(), f"{RULE}/properties/due_at", ..., "properties.due_at: is missing, and invoice.issued requires it"),
    (invoices(), f"{RULE}/properties/colour", "x", "properties.colour: is no property of invoice.issued"),
    (invoices(), f"{RULE}/properties/tenant_id", "x", "properties.tenant_id: is said by the connector itself"),
    (invoices(), f"{RULE}/properties/currency", {}, "properties.currency: comes from nowhere or from two places"),
    (
        invoices(),
        f"{RULE}/properties/currency",
        {"column": "a", "reference": "email"},
        "properties.currency.reference: currency speaks of nobody",
    ),
    (invoices(), f"{RULE}/where", [{"column": "a"}], "where[0]: asks nothing or too much"),
    (
        api(),
        "config/client/auth/token",
        "sk-hunter22",
        "config.client.auth.token: holds a secret in clear; write {secret",
    ),
    (api(), "config/client/headers", {"Authorization": "hunter22"}, "headers.Authorization: holds a secret in clear"),
    (api(), "config/client/base_url", "https://u:hunter22@x.nl", "config.client.base_url: holds a secret in clear"),
    (api(), "config/resources", [{"name": "bills"}], "streams: 'invoices' is no resource of config.resources"),
    (database(), "credentials", "postgresql://u:hunter22@x/y", "credentials: is not a mapping"),
    (database(), "credentials", {"secret": "a", "env": "B"}, "credentials: is no reference to a secret"),
]


@pytest.mark.parametrize(("body", "path", "value", "said"), WRONG, ids=[f"{path}" for _, path, _, _ in WRONG])
def test_what_is_wrong_names_file_field_and_mend(
    catalog: Catalog, tmp_path: Path, body: dict[str, Any], path: str, value: Any, said: str
) -> None:
    (tmp_path / "books.yaml").write_text(yaml.safe_dump(changed(body, path, value)))
    with pytest.raises(CatalogError) as raised:
        load_connectors(tmp_path, catalog)
    assert said in str(raised.value)
    assert str(raised.value).startswith("books.yaml: ")
    assert "hunter22" not in str(raised.value)


@pytest.mark.parametrize("body", [invoices(), api(), database()], ids=["drop", "api", "database"])
def test_a_sound_file_loads(catalog: Catalog, tmp_path: Path, body: dict[str, Any]) -> None:
    (tmp_path / "books.yaml").write_text(yaml.safe_dump(body))
    (connector,) = load_connectors(tmp_path, catalog).values()
    assert (connector.name, list(connector.streams)) == ("books", ["invoices"])


def test_problems_of_all_files_are_told_at_once(catalog: Catalog, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(changed(invoices(), "owner", "nobody")))
    with pytest.raises(CatalogError) as raised:
        load_connectors(tmp_path, catalog)
    assert [problem.file for problem in raised.value.problems] == ["one.yaml", "two.yaml"]


def test_without_a_folder_there_are_no_connectors(catalog: Catalog, tmp_path: Path) -> None:
    assert load_connectors(tmp_path / "none", catalog) == {}
    with pytest.raises(UnknownConnectorError, match="known: none yet"):
        named({}, "books")


def test_nothing_heavy_is_imported_before_something_is_pulled() -> None:
    program = (
        "import sys, analytics_platform.cli, analytics_platform.connectors.running; "
        "print(sorted({'dlt', 'fastexcel', 'polars', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_example_that_is_shipped_loads(catalog: Catalog) -> None:
    expected = {"exact_online", "finance_export", "hubspot", "moneybird", "product_database", "zendesk"}
    assert load_connectors(EXAMPLES, catalog).keys() == expected
    assert raw_example("zendesk") == (EXAMPLES / "zendesk.yaml").read_text()
    with pytest.raises(UnknownConnectorError, match="there are exact_online, "):
        raw_example("salesforce")
