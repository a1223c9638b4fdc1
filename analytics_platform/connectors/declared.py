"""What a connector's file may say; what the tracking plan has to say about it is in `loading`.

Secrets never stand in a file: wherever one belongs, the file names it, as `{secret: NAME}` of the setting
`connector_secrets` or `{env: NAME}` of the environment, and a text in such a place is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from analytics_platform.catalog.declared import Declared, Listed, wrong
from analytics_platform.catalog.plan import EventName
from analytics_platform.catalog.values import Name, TenantId, Text, TimeZoneName

Column = Text
"""A column by its name, or by a path with dots where rows nest (`properties.createdate`)."""

Ambiguous = Literal["refuse", "earlier", "later"]
ReferenceKind = Literal["email", "phone", "name", "account"]

_SECRET_NAMES = frozenset(
    ("access_token", "api_key", "authorization", "client_secret", "credentials", "password", "private_key", "token")
)
_PASSWORD_IN_URL = re.compile(r"//[^/\s:@]*:[^/\s@]+@")


def _named(value: object) -> object:
    """A column's name alone stands for the column."""
    return {"column": value} if isinstance(value, str) else value


def _by_text(value: object) -> object:
    """YAML reads the keys of a table of codes as numbers; rows are compared by their text."""
    return {str(key): held for key, held in value.items()} if isinstance(value, dict) else value


class SecretReference(Declared):
    """Where a secret is: a name in the setting `connector_secrets`, or a variable of the environment."""

    secret: Name | None = None
    env: Text | None = None

    @model_validator(mode="after")
    def _is_one(self) -> SecretReference:
        if (self.secret is None) == (self.env is None):
            raise wrong("is no reference to a secret", "write {secret: NAME} or {env: NAME}")
        return self


class Time(Declared):
    """How a column's times are written.

    Attributes:
        column: where they stand.
        format: `iso`, `epoch_seconds`, `epoch_milliseconds`, `odata` (`/Date(…)/`), or a pattern of strptime.
        time_zone: of times without an offset; by default the connector's.
        ambiguous: what a time is that the end of summer time makes happen twice.
    """

    column: Column
    format: Text = "iso"
    time_zone: TimeZoneName | None = None
    ambiguous: Ambiguous | None = None


class Value(Declared):
    """Where a property's value comes from, and how it is written there.

    Attributes:
        column: of the row.
        constant: the same for every row.
        values: translates the column's text; what is not in it goes by `default`, and is refused without one.
        default: where the column is empty.
        decimal: the sign before the fraction of numbers that are text.
        minor: whether money is in minor units already.
        minus: of money: a column that is taken off, such as the amount without tax.
        format: of times, as in `Time`; so are `time_zone` and `ambiguous`.
        reference: the column holds a direct identifier of this kind, and its reference stands in the property.
    """

    column: Column | None = None
    constant: str | int | float | bool | None = None
    values: Annotated[dict[str, str | int | float | bool], BeforeValidator(_by_text)] | None = None
    default: str | int | float | bool | None = None
    decimal: Literal[",", "."] | None = None
    minor: bool = False
    minus: Column | None = None
    format: Text = "iso"
    time_zone: TimeZoneName | None = None
    ambiguous: Ambiguous | None = None
    reference: ReferenceKind | None = None

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Value:
        if (self.column is None) == (self.constant is None):
            raise wrong("comes from nowhere or from two places", "write one of column and constant")
        return self


class Tenant(Declared):
    """The column that names a row's tenant; `values` translates its text to tenant ids."""

    column: Column
    values: Annotated[dict[str, TenantId], BeforeValidator(_by_text)] | None = None


class Condition(Declared):
    """What a column must be for a rule to take the row; numbers are compared by their text."""

    column: Column
    is_one_of: Listed[str] | None = None
    is_none_of: Listed[str] | None = None
    is_present: bool | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Condition:
        asked = [each for each in (self.is_one_of, self.is_none_of, self.is_present) if each is not None]
        if len(asked) != 1:
            raise wrong("asks nothing or too much", "write one of is_one_of, is_none_of and is_present")
        return self


class Rule(Declared):
    """How a row becomes an event.

    Attributes:
        event: of the plan.
        tenant: an id, or the column that names it; by default the connector's.
        timestamp: when it happened; by default the property that the plan calls the event's business time.
        key: columns that name the thing; with `version` they make the message id, so a row that comes again is a
            duplicate.
        version: columns whose change makes another event of the same thing.
        on_change: what a changed row is whose key and version came before.
        where: all of these hold for rows that the rule takes.
        properties: of the event.
    """

    event: EventName
    tenant: TenantId | Tenant | None = None
    timestamp: Annotated[Time, BeforeValidator(_named)] | None = None
    key: Listed[Column] = Field(min_length=1)
    version: Listed[Column] = ()
    on_change: Literal["dead_letter", "keep_first"] = "dead_letter"
    where: Listed[Condition] = ()
    properties: dict[Name, Annotated[Value, BeforeValidator(_named)]]

    def columns(self) -> Iterator[tuple[str, str]]:
        """Every column that the rule reads, with where it stands in the file."""
        yield from ((f"key[{n}]", each) for n, each in enumerate(self.key))
        yield from ((f"version[{n}]", each) for n, each in enumerate(self.version))
        yield from ((f"where[{n}].column", each.column) for n, each in enumerate(self.where))
        if isinstance(self.tenant, Tenant):
            yield "tenant.column", self.tenant.column
        if self.timestamp is not None:
            yield "timestamp.column", self.timestamp.column
        yield from ((f"properties.{name}", each.column) for name, each in self.properties.items() if each.column)
        yield from ((f"properties.{name}.minus", each.minus) for name, each in self.properties.items() if each.minus)


class DropStream(Declared):
    """Which files of the folder hold a stream, and how they are written.

    Attributes:
        files: a pattern of names, such as `invoices-*.csv`.
        format: by default what the name ends in.
        encoding: of text; a byte order mark wins.
        separator: of CSV.
        sheet: of a workbook; by default the first.
    """

    files: Text
    format: Literal["csv", "excel", "json", "ndjson"] | None = None
    encoding: Literal["utf-8", "windows-1252", "iso-8859-15", "utf-16"] = "utf-8"
    separator: Literal[",", ";", "\t", "|"] = ","
    sheet: Text | None = None
    rules: dict[Name, Rule] = Field(min_length=1)


class TableStream(Declared):
    """Which table holds a stream.

    Attributes:
        table: a table or view.
        cursor: column that rises with every change; without one the whole table is read each time.
        overlap_seconds: read again, for transactions that were committed late; needs a cursor that is a time.
    """

    table: Text
    cursor: Text | None = None
    overlap_seconds: int = Field(default=0, ge=0)
    rules: dict[Name, Rule] = Field(min_length=1)


class ResourceStream(Declared):
    """A stream of an API: the resource of dlt's configuration that has its name."""

    rules: dict[Name, Rule] = Field(min_length=1)


class Base(Declared):
    """What every connector says.

    Attributes:
        title: for people.
        owner: a team of the catalogue.
        every_hours: how often it runs by itself: at the hours of the day that this divides.
        tenant: of all its rows, where it is one.
        time_zone: of times without an offset.
        ambiguous: what a time is that the end of summer time makes happen twice.
    """

    name: Name
    title: Text
    owner: Name
    every_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 1
    tenant: TenantId | None = None
    time_zone: TimeZoneName | None = None
    ambiguous: Ambiguous = "refuse"


class DropConnector(Base):
    """Files that somebody puts into a folder.

    Attributes:
        folder: by default `connector_files/drops/<name>` of the home.
        settle_seconds: how long a file must have been left alone to be whole.
        afterwards: what becomes of a file that was taken.
    """

    source: Literal["drop"]
    folder: Text | None = None
    settle_seconds: float = Field(default=30, ge=0)
    afterwards: Literal["delete", "keep"] = "delete"
    streams: dict[Name, DropStream] = Field(min_length=1)


class DatabaseConnector(Base):
    """Tables of an SQL database, pulled through dlt; `credentials` is SQLAlchemy's address, a secret as a whole."""

    source: Literal["sql_database"]
    credentials: SecretReference
    database_schema: Text | None = None
    streams: dict[Name, TableStream] = Field(min_length=1)


class ApiConnector(Base):
    """Resources of a REST API; `config` is dlt's own configuration of `rest_api`, passed on as it is."""

    source: Literal["rest_api"]
    config: dict[str, Any]
    streams: dict[Name, ResourceStream] = Field(min_length=1)

    @model_validator(mode="after")
    def _holds_no_secret(self) -> ApiConnector:
        for path, name, value in _texts(self.config):
            if name.lower() in _SECRET_NAMES or _PASSWORD_IN_URL.search(value):
                raise wrong(
                    "holds a secret in clear", "write {secret: NAME} or {env: NAME} instead", field=f"config.{path}"
                )
        return self

    @model_validator(mode="after")
    def _streams_are_resources(self) -> ApiConnector:
        known = [each if isinstance(each, str) else each.get("name") for each in self.config.get("resources") or ()]
        for stream in self.streams:
            if stream not in known:
                mend = f"name it as one of {', '.join(map(str, known))}, or add a resource"
                raise wrong(f"{stream!r} is no resource of config.resources", mend, field="streams")
        return self


KINDS: Mapping[str, type[DropConnector | DatabaseConnector | ApiConnector]] = {
    "drop": DropConnector,
    "sql_database": DatabaseConnector,
    "rest_api": ApiConnector,
}


def secret_reference(value: object) -> SecretReference | None:
    """The reference that a part of an API's configuration is, if it is one."""
    if isinstance(value, dict) and len(value) == 1 and value.keys() <= {"secret", "env"}:
        return SecretReference.model_validate(value)
    return None


def _texts(value: object, path: str = "", name: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text of a configuration: its path, the name it stands under, and itself."""
    if secret_reference(value) is not None:
        return
    if isinstance(value, Mapping):
        for key, held in value.items():
            yield from _texts(held, f"{path}.{key}" if path else str(key), str(key))
    elif isinstance(value, list):
        for number, held in enumerate(value):
            yield from _texts(held, f"{path}[{number}]", name)
    elif isinstance(value, str):
        yield path, name, value
