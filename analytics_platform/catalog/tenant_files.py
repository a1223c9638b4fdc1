"""Loading the tenants: one file each in the catalogue, and a file of more that an installation may bring."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from analytics_platform.catalog.errors import wrong_in
from analytics_platform.catalog.folder import Folder, as_mapping, in_file_of_its_name, lists_by_name, look_up
from analytics_platform.catalog.tenants import HolidayCalendar, Tenant
from analytics_platform.catalog.validation import join, validate
from analytics_platform.catalog.yaml_file import read_yaml


def load_tenants(
    folder: Folder, tenants_file: Path | None, calendars: Mapping[str, HolidayCalendar]
) -> dict[str, Tenant]:
    """Load all tenants by id; problems are gathered in the folder.

    Ids and write keys must be unique over all files: a key that two tenants share would put one's data with the other.
    """
    loaded: dict[str, Tenant] = {}
    key_users: dict[str, str] = {}
    for file, at, body in _declared(folder, tenants_file):
        with folder.problems.gathered():
            tenant = _tenant(body, calendars, file, at)
            if at == "":
                in_file_of_its_name(tenant, "tenant_id", file)
            if tenant.tenant_id in loaded:
                what = f"{tenant.tenant_id!r} is the id of another tenant"
                raise wrong_in(file, join(at, "tenant_id"), what, "write another id or remove one of the two")
            loaded[tenant.tenant_id] = tenant
            _refuse_used_keys(tenant, key_users, file, at)
    return loaded


def _declared(folder: Folder, tenants_file: Path | None) -> Iterator[tuple[str, str, Any]]:
    """Yield file, path within it, and what is written there, for each tenant."""
    for file in folder.files("tenants"):
        with folder.problems.gathered():
            yield file, "", folder.read(file)
    if tenants_file is None:
        return
    file = str(tenants_file)
    with folder.problems.gathered():
        declared = read_yaml(tenants_file, file)
        if isinstance(declared, list):
            yield from ((file, f"[{index}]", body) for index, body in enumerate(declared))
            return
        for tenant_id, body in as_mapping(declared, file, "").items():
            with folder.problems.gathered():
                yield file, tenant_id, {"tenant_id": tenant_id, **as_mapping(body, file, tenant_id)}


def _tenant(body: Any, calendars: Mapping[str, HolidayCalendar], file: str, at: str) -> Tenant:
    """Build a tenant, with the days of its calendar among its holidays."""
    declared = lists_by_name(as_mapping(body, file, at), file, at, ("write_keys",))
    tenant = validate(Tenant, declared, file, at)
    if tenant.holiday_calendar is None:
        return tenant
    calendar = look_up(tenant.holiday_calendar, calendars, "a holiday calendar", file, join(at, "holiday_calendar"))
    return tenant.model_copy(update={"holidays": tuple(sorted({*calendar.days, *tenant.holidays}))})


def _refuse_used_keys(tenant: Tenant, key_users: dict[str, str], file: str, at: str) -> None:
    for key in tenant.write_keys:
        user = f"{tenant.tenant_id} ({key.name})"
        if (other := key_users.setdefault(key.sha256, user)) != user:
            field = join(at, f"write_keys[{key.name}].sha256")
            raise wrong_in(file, field, f"is the key of {other} too", "issue a key of its own")
