"""Who holds which role, read from the product's RBAC: files, a real endpoint, a real database; no address in clear."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from access_examples import example_policy
from hypothesis import given
from hypothesis import strategies as st
from postgres import postgres_server
from rbac_endpoint import TOKEN, RbacServer, rbac_server

from analytics_platform.governance.access.desk import reference_key
from analytics_platform.governance.access.memberships import (
    Export,
    Member,
    RbacError,
    held_by,
    memberships,
    parse_csv,
    parse_json,
    reference,
)
from analytics_platform.governance.access.rbac import RbacSource, read_rbac

AT = datetime(2026, 11, 27, 5, tzinfo=UTC)
DAY = date(2026, 11, 27)
KEY = b"k" * 32
MEMBERS = [
    {"principal": "usr_1", "role": "finance", "tenants": []},
    {"principal": "usr_2", "role": "Guest", "tenants": ["alpha", "b-c"]},
    {"principal": "Eva.Jansen@alpha.example", "role": "Guest", "tenants": ["alpha"]},
    {"principal": "usr_3", "role": "Janitor", "tenants": []},
]
AS_JSON = json.dumps({"exported_at": AT.isoformat(), "members": MEMBERS, "version": 3}).encode()
AS_CSV = "principal,role,tenants,exported_at\n" + "".join(
    f"{each['principal']},{each['role']},{';'.join(each['tenants'])},{AT.isoformat()}\n" for each in MEMBERS
)
POLICY = example_policy()


def seen(export: Export) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(member.principal, member.role, member.tenants) for member in export.members}


EXPECTED = seen(parse_json(AS_JSON, "test"))


def test_json_and_csv_say_the_same(tmp_path: Path) -> None:
    assert len(EXPECTED) == 4
    for name, data in (("export.json", AS_JSON), ("export.CSV", b"\xef\xbb\xbf" + AS_CSV.encode())):
        (tmp_path / name).write_bytes(data)
        for address in (str(tmp_path / name), (tmp_path / name).as_uri()):
            export = read_rbac(RbacSource(address))
            assert (seen(export), export.exported_at) == (EXPECTED, AT)
            assert export.source == f"file {name}"


def test_without_a_source_nobody_holds_a_role() -> None:
    export = read_rbac(RbacSource(None))
    assert (export.members, export.exported_at) == ((), None)
    assert memberships(export, POLICY, KEY, DAY).num_rows == 0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<html>", "this is no JSON"),
        (b"[]", "export it anew with principal"),
        (b'{"members": []}', "exported_at: Field required"),
        (AS_JSON.replace(b'"usr_1"', b'""'), "members.0.principal"),
        (AS_JSON.replace(b'"role": "finance"', b'"role": 7'), "members.0.role"),
        (AS_JSON.replace(b"+00:00", b""), "timezone"),
    ],
)
def test_json_that_nobody_can_read_is_refused_with_the_field(data: bytes, told: str) -> None:
    with pytest.raises(RbacError, match=told):
        parse_json(data, "file export.json")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("principal,tenants\nusr_1,\n", "role: Field required"),
        ("principal,role,tenants,exported_at\nusr_1,finance,,\n", "fill exported_at"),
        ("principal,role,tenants,exported_at\n", "fill exported_at"),
        ('principal,role\n"usr_1,finance\n', "this is no CSV"),
    ],
)
def test_csv_that_nobody_can_read_is_refused(text: str, told: str) -> None:
    with pytest.raises(RbacError, match=told):
        parse_csv(text.encode(), "file export.csv")


def test_an_error_shows_no_value_of_a_row() -> None:
    with pytest.raises(RbacError) as caught:
        parse_json(AS_JSON.replace(b'["alpha"]', b'"Eva.Jansen@alpha.example", "tenants": 5'), "file export.json")
    assert "Eva" not in str(caught.value)
    assert "Eva" not in str(caught.value.__cause__)  # which a log shows too


def test_a_file_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(RbacError, match="ANALYTICS_RBAC_SOURCE"):
        read_rbac(RbacSource(str(tmp_path / "gone.json")))


def test_rows_are_resolved_to_roles_of_ours_and_addresses_to_references() -> None:
    rows = {row["principal"]: row for row in memberships(parse_json(AS_JSON, "file x"), POLICY, KEY, DAY).to_pylist()}
    eva = reference("eva.jansen@ALPHA.example ", KEY)
    assert rows.keys() == {"usr_1", "usr_2", "usr_3", eva}
    assert (rows["usr_2"]["role"], rows["usr_2"]["tenants"]) == ("viewer", "alpha b-c")
    assert rows["usr_3"]["role"] is None
    assert rows[eva]["exported_at"] == AT
    assert "Eva" not in str(rows)
    assert "@" not in str(rows)


def test_several_rows_of_a_principal_and_role_are_one_with_all_their_tenants() -> None:
    members = tuple(Member(principal="u", role="Guest", tenants=(tenant,)) for tenant in ("b-c", "alpha", "alpha"))
    rows = memberships(Export("x", AT, members), POLICY, KEY, DAY).to_pylist()
    assert [(row["principal"], row["tenants"]) for row in rows] == [("u", "alpha b-c")]


def test_who_stands_in_no_row_or_holds_no_role_of_ours_is_in_no_audience() -> None:
    rows = memberships(parse_json(AS_JSON, "x"), POLICY, KEY, DAY).to_pylist()
    audiences = {
        who: {each.name for each in POLICY.audiences_of(held_by(who, rows))} for who in ("usr_1", "usr_2", "usr_3", "?")
    }
    assert audiences == {"usr_1": {"finance"}, "usr_2": {"viewer@alpha", "viewer@b-c"}, "usr_3": set(), "?": set()}


@given(st.emails(), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_an_address_becomes_a_reference_of_its_key_alone(address: str, key: bytes, other: bytes) -> None:
    told = reference(address, key)
    assert told.startswith("ref_")
    assert address.lower() not in told
    assert (reference(address, other) == told) == (key == other)
    assert reference(told, key) == told


def test_a_home_makes_its_key_once_and_for_itself_alone(tmp_path: Path) -> None:
    key = reference_key(tmp_path / "access", None)
    assert len(key) == 32
    assert reference_key(tmp_path / "access", None) == key
    assert reference_key(tmp_path / "access", "a secret of a deployment") != key
    assert (tmp_path / "access" / "reference.key").stat().st_mode & 0o777 == 0o600


@pytest.fixture(scope="module")
def endpoint() -> Iterator[RbacServer]:
    with rbac_server() as server:
        yield server


def ask(server: RbacServer, status: int, body: bytes, token: str | None = TOKEN) -> Export:
    server.status, server.body = status, body
    return read_rbac(RbacSource(server.address, token))


def test_an_endpoint_is_read_with_the_token(endpoint: RbacServer) -> None:
    export = ask(endpoint, 200, AS_JSON)
    assert (seen(export), export.exported_at, export.source) == (EXPECTED, AT, "endpoint 127.0.0.1")


@pytest.mark.parametrize(
    ("status", "body", "token", "told"),
    [
        (200, AS_JSON, None, "refuses us .401.; renew ANALYTICS_RBAC_TOKEN"),
        (200, AS_JSON, "another-token", "refuses us"),
        (500, b"oops", TOKEN, "answered 500"),
        (302, b"", TOKEN, "answered 302"),
        (200, AS_JSON[:-9], TOKEN, "no JSON"),
        (200, b'{"error": "later"}', TOKEN, "Field required"),
    ],
)
def test_an_endpoint_that_refuses_or_says_nonsense_is_told_apart(
    endpoint: RbacServer, status: int, body: bytes, token: str | None, told: str
) -> None:
    with pytest.raises(RbacError, match=told) as caught:
        ask(endpoint, status, body, token)
    assert str(token) not in str(caught.value)


def test_an_endpoint_that_is_not_there_is_told() -> None:
    with pytest.raises(RbacError, match="no answer"):
        read_rbac(RbacSource("http://127.0.0.1:1/x", TOKEN))


def write_table(url: str, tenants: sa.types.TypeEngine[Any], value: Any) -> None:
    engine = sa.create_engine(url)
    table = sa.Table(
        "role_memberships",
        sa.MetaData(),
        sa.Column("principal", sa.String),
        sa.Column("role", sa.String),
        sa.Column("tenants", tenants),
        sa.Column("exported_at", sa.DateTime(timezone=True)),
    )
    with engine.begin() as connection:
        table.create(connection)
        rows = [{**each, "tenants": value(each["tenants"]), "exported_at": AT} for each in MEMBERS]
        connection.execute(table.insert(), rows)
    engine.dispose()


def test_a_table_in_sqlite_is_read_and_its_times_are_utc(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rbac.db"
    sqlite3.connect(tmp_path / "rbac.db").close()
    write_table(url, sa.String(), " ".join)
    with pytest.raises(RbacError, match="exported_at"):  # SQLite gives text without a zone
        read_rbac(RbacSource(url))
    zoned = "select principal, role, tenants, exported_at || 'Z' as exported_at from role_memberships"
    export = read_rbac(RbacSource(url, query=zoned))
    assert (seen(export), export.exported_at) == (EXPECTED, AT)
    with pytest.raises(RbacError, match="ANALYTICS_RBAC_QUERY"):
        read_rbac(RbacSource(url, query="select * from nothing"))


@pytest.mark.parametrize("url", ["nonsense+driver://host/db", "postgresql+psycopg://"])
def test_a_database_that_cannot_be_reached_says_what_to_mend_without_the_address(url: str) -> None:
    with pytest.raises(RbacError, match=r"SQLAlchemy|ANALYTICS_RBAC_QUERY"):
        read_rbac(RbacSource(url))


@pytest.mark.integration
def test_a_table_in_postgres_is_read_as_it_is_also_with_an_array_of_tenants() -> None:
    with postgres_server() as url:
        write_table(url, sa.ARRAY(sa.String), list)
        export = read_rbac(RbacSource(url))
        assert (seen(export), export.exported_at) == (EXPECTED, AT)
        with pytest.raises(RbacError, match="ANALYTICS_RBAC_QUERY") as caught:
            read_rbac(RbacSource(url, query="select principal from role_memberships where tenants = 7"))
    assert "tests@" not in str(caught.value)


def test_the_demo_has_an_export_of_every_role_that_is_the_same_each_time(tmp_path: Path) -> None:
    from analytics_platform.catalog import load_catalog
    from analytics_platform.demo.rbac import write_export

    catalog, path = load_catalog(), tmp_path / "rbac.json"
    assert write_export(path, catalog, AT)
    export = read_rbac(RbacSource(str(path)))
    assert {member.role for member in export.members} == set(catalog.access_roles)
    assert {tenant for member in export.members for tenant in member.tenants} == set(catalog.tenants)
    assert write_export(path, catalog, AT + timedelta(days=1))
    assert read_rbac(RbacSource(str(path))).members == export.members
    path.write_bytes(AS_JSON)
    assert not write_export(path, catalog, AT)
    assert path.read_bytes() == AS_JSON
