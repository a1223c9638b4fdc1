"""Identities: rotate keys, find a person's references, open a reference. Each goes on record, without the value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import Tenant, as_json, read_catalog, read_settings

if TYPE_CHECKING:
    from analytics_platform.governance.identities import IdentityDesk, Seen
    from analytics_platform.identities.references import Kind

_BY = click.option("--by", required=True, metavar="NAME", help="Who answers for this; goes on record.")
_TENANT = click.option("--tenant", type=Tenant(), required=True, help="Whose keys and table.")


@click.group(cls=Group)
def identities() -> None:
    """The people behind the references that stand in the lake and the warehouse."""


@identities.command()
@_TENANT
@_BY
@as_json
def rotate(tenant: str, by: str, as_json: bool) -> None:
    """Give a tenant new keys; what the older ones made is still found and opened.

    Examples:
        analytics identities rotate --tenant delta-events --by "Ann Smit"
    """
    version = _desk().rotate(tenant, by=by)
    line = f"{tenant} has version {version} of its keys; put a copy of {read_settings().identity_keys_file} away"
    show({"tenant_id": tenant, "version": version}, as_json, [line])


@identities.command()
@_TENANT
@click.option("--email", help="An e-mail address.")
@click.option("--phone", help="A telephone number.")
@click.option("--name", help="A name, as it was sent.")
@click.option("--ip", help="An IP address.")
@click.option("--id", "id_", help="An id: of a device or another system, or a userId or anonymousId as it is stored.")
@_BY
@as_json
def find(
    tenant: str,
    email: str | None,
    phone: str | None,
    name: str | None,
    ip: str | None,
    id_: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Find a person's references under all versions of the keys, and the ids that they came with.

    Examples:
        analytics identities find --tenant delta-events --email ann@example.com --by "Ann Smit"
    """
    asked: dict[Kind, str | None] = {"email": email, "phone": phone, "name": name, "ip": ip, "id": id_}
    given = [(kind, value) for kind, value in asked.items() if value is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --email, --phone, --name, --ip, --id")
    references, seen = _desk().find(tenant, *given[0], by=by)
    answer = {"tenant_id": tenant, "references": references, "seen": [each.as_dict() for each in seen]}
    show(answer, as_json, [*references, *(_line(each) for each in seen)] if seen else [*references, "Never seen"])


@identities.command()
@click.argument("reference")
@_TENANT
@_BY
@click.option("--reason", required=True, help="Why; goes on record, so name nobody in it.")
@as_json
def reveal(reference: str, tenant: str, by: str, reason: str, as_json: bool) -> None:
    """Open the seal of a reference.

    Examples:
        analytics identities reveal REFERENCE --tenant delta-events --by "Ann Smit" --reason "Ticket 4711"
    """
    values = _desk().reveal(tenant, reference, by=by, reason=reason)
    show({"tenant_id": tenant, "reference": reference, "values": values}, as_json, values)


def _desk() -> IdentityDesk:
    from analytics_platform.defs.resources import identity_keys_from, store_from
    from analytics_platform.governance.identities import IdentityDesk

    settings = read_settings()
    return IdentityDesk(read_catalog(), store_from(settings), identity_keys_from(settings))


def _line(seen: Seen) -> str:
    ids = f"user {seen.user_id or '-'}, device {seen.anonymous_id or '-'}"
    return f"  {seen.reference}  {ids}  {seen.first} to {seen.last}, {seen.messages:,} messages"
