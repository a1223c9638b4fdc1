"""Reading the product's RBAC where it is: a file, a table, or an HTTP endpoint. Never kept by hand here.

Belongs here: fetching, and errors that say what to mend without a secret or a row in them. Stays out: what the rows
mean (`memberships`). A source is one address:

    path or file://…           JSON, or CSV by its ending
    https://…, http://…        JSON, with a bearer token where one is set
    postgresql://…, mysql://…  any database that SQLAlchemy knows, by a query
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from analytics_platform.governance.access.memberships import Export, RbacError, parse_csv, parse_json, parse_rows

DEFAULT_QUERY = "select principal, role, tenants, exported_at from role_memberships"
NO_SOURCE = "none"
_TIMEOUT_SECONDS = 30.0
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class RbacSource:
    """Where the product says who holds which role.

    Attributes:
        address: path or URL; None where nothing is set, and then nobody holds a role.
        token: bearer token of an HTTP endpoint.
        query: of a database.
    """

    address: str | None
    token: str | None = None
    query: str = DEFAULT_QUERY


def read_rbac(source: RbacSource) -> Export:
    """Read a source.

    Raises:
        RbacError: it cannot be reached, refuses, or says what nobody can read.
    """
    if source.address is None:
        return Export(NO_SOURCE, None, ())
    scheme = urlsplit(source.address).scheme
    if scheme in ("http", "https"):
        return _from_endpoint(source.address, source.token)
    if scheme in ("", "file") or len(scheme) == 1:
        return _from_file(Path(unquote(urlsplit(source.address).path) if scheme == "file" else source.address))
    return _from_database(source.address, source.query)


def _from_file(path: Path) -> Export:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RbacError(f"{path} cannot be read ({error.strerror}); mend ANALYTICS_RBAC_SOURCE or export it") from error
    parse = parse_csv if path.suffix.lower() == ".csv" else parse_json
    return parse(data, f"file {path.name}")


def _from_endpoint(url: str, token: str | None) -> Export:
    import httpx

    host = urlsplit(url).hostname or "the endpoint"
    where = f"endpoint {host}"
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    try:
        answer = httpx.get(url, headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RbacError(f"{where}: no answer ({type(error).__name__}); see that it can be reached from here") from error
    if answer.status_code in (401, 403):
        raise RbacError(f"{where}: it refuses us ({answer.status_code}); renew ANALYTICS_RBAC_TOKEN")
    if answer.status_code != 200:
        raise RbacError(
            f"{where}: it answered {answer.status_code} and not 200; mend it there or ANALYTICS_RBAC_SOURCE"
        )
    if len(answer.content) > _MOST_BYTES:
        raise RbacError(f"{where}: more than {_MOST_BYTES:,} bytes; let it answer roles alone")
    return parse_json(answer.content, where)


def _from_database(url: str, query: str) -> Export:
    import sqlalchemy as sa

    where = f"database {urlsplit(url).hostname or urlsplit(url).path.lstrip('/') or 'of the RBAC'}"
    try:
        engine = sa.create_engine(url)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise RbacError(
            f"{where}: {type(error).__name__}: {_first_line(error)}; write an address of SQLAlchemy such as "
            "postgresql+psycopg://reader@host/name, and install its driver"
        ) from error
    try:
        with engine.connect() as connection:
            rows = [_row(dict(row)) for row in connection.execute(sa.text(query)).mappings()]
    except sa.exc.SQLAlchemyError as error:
        raise RbacError(
            f"{where}: {type(error).__name__}; mend ANALYTICS_RBAC_QUERY, or what may be read there"
        ) from error
    finally:
        engine.dispose()
    return parse_rows(rows, where)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A database's times without a zone are UTC."""
    at = row.get("exported_at")
    if isinstance(at, datetime) and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return {**row, "exported_at": at}


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else ""
