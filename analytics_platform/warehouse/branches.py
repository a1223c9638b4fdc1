"""Environments of branches in a shared warehouse: the prefix of a branch, the schemas that have it, and their end.

A branch's schemas are the platform's own with a prefix before each (`br_new_kpi_1a2b3c4d_raw`). Names are exact: the
prefix and one of `SCHEMAS` make a branch's schema, nothing else does, so that no other branch's and none without a
prefix is ever one of them. Belongs here: names, and what to ask and to drop. Stays out: git, settings, and the prefix
on statements (`translation`).
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from analytics_platform.errors import AnalyticsError
from analytics_platform.warehouse.port import SCHEMAS, SharedWarehouse

PREFIX_PATTERN = r"[a-z][a-z0-9_]{0,30}_"
"""What the setting `warehouse_schema_prefix` allows: 32 characters."""

_MOST_OF_NAME = 19
_OF_BRANCH = re.compile(rf"(br_[a-z0-9_]{{1,{_MOST_OF_NAME}}}_[0-9a-f]{{8}}_)(?:{'|'.join(SCHEMAS)})")
_SCHEMATA = {
    "snowflake": (
        "select lower(schema_name) as name, created as made_at from {place}.information_schema.schemata "
        "where schema_name = upper(schema_name)"
    ),
    "bigquery": (
        "select schema_name as name, creation_time as made_at "
        "from `{place}`.`region-{region}`.information_schema.schemata"
    ),
}
_DROP = {
    "snowflake": "drop schema if exists {place}.{schema} cascade",
    "bigquery": "drop schema if exists `{place}.{schema}` cascade",
}


class NotABranchError(AnalyticsError):
    """What is named is no branch's environment, or none of this warehouse; nothing was dropped."""


@dataclass(frozen=True)
class Where:
    """Where schemas lie.

    Attributes:
        place: Snowflake's database, or BigQuery's project.
        region: BigQuery's region.
    """

    place: str
    region: str = ""


@dataclass(frozen=True)
class BranchSchemas:
    """The schemas of one branch environment.

    Attributes:
        prefix: what they begin with.
        schemas: those that are there.
        made_at: when the oldest was made, in UTC.
    """

    prefix: str
    schemas: tuple[str, ...]
    made_at: datetime


def branch_prefix(branch: str) -> str:
    """The prefix of a git branch: what can be read of its name, and eight hex digits that tell it from all others.

    Raises:
        NotABranchError: the name is empty.
    """
    if not branch.strip():
        raise NotABranchError("a branch has a name; give it, or run this in a clone that is on one")
    readable = re.sub(r"[^a-z0-9]+", "_", branch.lower()).strip("_")[:_MOST_OF_NAME].strip("_") or "x"
    return f"br_{readable}_{hashlib.sha256(branch.encode()).hexdigest()[:8]}_"


def schemas_with(prefix: str) -> list[str]:
    """Every schema that an environment of that prefix can have.

    Raises:
        NotABranchError: it is no prefix, and the schemas would be those of the deployment itself.
    """
    if not re.fullmatch(PREFIX_PATTERN, prefix):
        raise NotABranchError(
            f"{prefix!r} is no prefix of a branch environment; it is a lower-case word that ends with an underscore"
        )
    return [f"{prefix}{schema}" for schema in SCHEMAS]


def branch_schemas(warehouse: SharedWarehouse, where: Where) -> list[BranchSchemas]:
    """The environments whose prefix `branch_prefix` has made, oldest first."""
    found: dict[str, list[str]] = defaultdict(list)
    made = _schemata(warehouse, where)
    for schema in sorted(made):
        if match := _OF_BRANCH.fullmatch(schema):
            found[match[1]].append(schema)
    listed = [_environment(prefix, schemas, made) for prefix, schemas in found.items()]
    return sorted(listed, key=lambda each: each.made_at)


def environment_of(warehouse: SharedWarehouse, where: Where, prefix: str) -> BranchSchemas | None:
    """The schemas of a prefix that are there; None where there is none."""
    made = _schemata(warehouse, where)
    there = [schema for schema in schemas_with(prefix) if schema in made]
    return _environment(prefix, there, made) if there else None


def drop_schemas(warehouse: SharedWarehouse, where: Where, environment: BranchSchemas) -> Sequence[str]:
    """Drop an environment's schemas with all that is in them; returns the statements that were run.

    Raises:
        NotABranchError: one of them is not the prefix and a schema of the platform's.
    """
    known = schemas_with(environment.prefix)
    if strange := [schema for schema in environment.schemas if schema not in known]:
        raise NotABranchError(f"{', '.join(strange)}: not of the environment {environment.prefix}; nothing was dropped")
    statements = [_DROP[warehouse.dialect].format(place=where.place, schema=each) for each in environment.schemas]
    with warehouse.reading():
        for statement in statements:
            warehouse.native(statement)
    return statements


def _schemata(warehouse: SharedWarehouse, where: Where) -> Mapping[str, datetime]:
    asked = _SCHEMATA[warehouse.dialect].format(place=where.place, region=where.region)
    rows = [{name.lower(): value for name, value in row.items()} for row in warehouse.native(asked).to_pylist()]
    return {str(row["name"]): _in_utc(row["made_at"]) for row in rows}


def _environment(prefix: str, schemas: Iterable[str], made: Mapping[str, datetime]) -> BranchSchemas:
    there = tuple(schemas)
    return BranchSchemas(prefix, there, min(made[schema] for schema in there))


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
