"""Who holds which role: rows of the product's RBAC, read strictly and resolved to roles of ours. Pure.

An export is JSON (`{"exported_at": …, "members": [{"principal": …, "role": …, "tenants": […]}]}`) or CSV with the
columns principal, role, tenants (separated by spaces or `;`) and exported_at. A role that the policy does not know
grants nothing. A principal is kept as the RBAC's id; one that is an e-mail address, and so names a person, as a keyed
reference from which nobody without the key gets the address back.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

import orjson
import pyarrow as pa
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.access.policy import Policy

MEMBERSHIPS_TABLE = "ops.role_memberships"
MEMBERSHIPS_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32()),
        pa.field("principal", pa.string()),
        pa.field("rbac_role", pa.string()),
        pa.field("role", pa.string()),
        pa.field("tenants", pa.string()),
        pa.field("source", pa.string()),
        pa.field("exported_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""One row per principal and role of the product; `role` is null where it means none of ours, `tenants` a
space-separated list."""

REFERENCE = "ref_"
"""Principals that stand for an e-mail address begin with it."""


class RbacError(AnalyticsError):
    """The product's RBAC could not be read; the text says where, why, and what to mend. It shows no value of a row."""


def _tenants(value: object) -> object:
    if isinstance(value, str):
        return value.replace(";", " ").split()
    return [] if value is None else value


class Member(BaseModel):
    """One role of one principal, as the product has it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    principal: str = Field(min_length=1, max_length=320)
    role: str = Field(min_length=1, max_length=200)
    tenants: Annotated[tuple[str, ...], BeforeValidator(_tenants)] = ()
    exported_at: AwareDatetime | None = None


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    exported_at: AwareDatetime
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Export:
    """All that a source says.

    Attributes:
        source: which kind it is, and where without any secret.
        exported_at: when the product wrote it; None where there is no source.
        members: every role of every principal.
    """

    source: str
    exported_at: datetime | None
    members: tuple[Member, ...]


def parse_json(data: bytes, source: str) -> Export:
    """An export in JSON.

    Raises:
        RbacError: it is no such document.
    """
    try:
        document = _Document.model_validate(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise RbacError(f"{source}: this is no JSON; export {{exported_at, members}} anew") from error
    except ValidationError as error:
        raise RbacError(f"{source}: {_problem(error)}") from error
    return Export(source, document.exported_at.astimezone(UTC), document.members)


def parse_csv(data: bytes, source: str) -> Export:
    """An export in CSV, with a header.

    Raises:
        RbacError: a column is missing or a row cannot be read.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RbacError(f"{source}: this is no CSV in UTF-8; export it anew") from error
    return parse_rows([{name: value or None for name, value in row.items() if name} for row in rows], source)


def parse_rows(rows: Iterable[Mapping[str, Any]], source: str) -> Export:
    """An export as rows, each with its `exported_at`.

    Raises:
        RbacError: there is no row, or one cannot be read.
    """
    try:
        members = tuple(Member.model_validate(row) for row in rows)
    except ValidationError as error:
        raise RbacError(f"{source}: {_problem(error)}") from error
    times = [member.exported_at for member in members if member.exported_at is not None]
    if len(times) < len(members) or not times:
        raise RbacError(
            f"{source}: not every row says when it was exported; fill exported_at, such as 2026-11-27T05:00Z"
        )
    return Export(source, min(times).astimezone(UTC), members)


def reference(principal: str, key: bytes) -> str:
    """The id itself; of an e-mail address a keyed hash, the same for every way of writing it."""
    if "@" not in principal:
        return principal
    return REFERENCE + hmac.new(key, principal.strip().casefold().encode(), hashlib.sha256).hexdigest()[:32]


def memberships(export: Export, policy: Policy, key: bytes, day: date) -> pa.Table:
    """The export as rows of `ops.role_memberships` (`MEMBERSHIPS_SCHEMA`), without repetitions."""
    rows = {
        (reference(member.principal, key), member.role): {
            "day": day,
            "principal": reference(member.principal, key),
            "rbac_role": member.role,
            "role": policy.role_meant_by(member.role),
            "tenants": " ".join(sorted(tenants)),
            "source": export.source,
            "exported_at": export.exported_at,
        }
        for member, tenants in _merged(export.members, key)
    }
    return pa.Table.from_pylist([rows[each] for each in sorted(rows)], schema=MEMBERSHIPS_SCHEMA)


def held_by(principal: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, Sequence[str]]]:
    """Roles of ours and tenants of a principal, of rows of one day; nothing for who stands in none."""
    return [
        (row["role"], row["tenants"].split())
        for row in rows
        if row["principal"] == principal and row["role"] is not None
    ]


def _merged(members: Iterable[Member], key: bytes) -> list[tuple[Member, set[str]]]:
    """A principal and role once, with the tenants of all its rows."""
    merged: dict[tuple[str, str], tuple[Member, set[str]]] = {}
    for member in members:
        _, tenants = merged.setdefault((reference(member.principal, key), member.role), (member, set()))
        tenants.update(member.tenants)
    return list(merged.values())


def _problem(error: ValidationError) -> str:
    """Where and what, without the value: it may be somebody's address."""
    first = error.errors(include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    return f"{where}: {first['msg']}; export it anew with principal, role, tenants and exported_at"
