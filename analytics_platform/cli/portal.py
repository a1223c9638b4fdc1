"""``analytics portal``: serves dashboards and reports to whoever may see them; its users, and its record."""

from __future__ import annotations

import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import Day, as_json, read_catalog, read_settings

if TYPE_CHECKING:
    from analytics_platform.portal.users import Users


@click.group(invoke_without_command=True, cls=Group)
@click.option("--host", help="Address to listen on.  [default: ANALYTICS_PORTAL_HOST, else 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port; 0 takes a free one.  [default: ANALYTICS_PORTAL_PORT, else 8000]",
)
@click.pass_context
def portal(context: click.Context, host: str | None, port: int | None) -> None:
    """Serve dashboards and reports to whoever may see them.

    Who somebody is says a local login (its users are below) or an identity provider's signed token
    (ANALYTICS_PORTAL_LOGIN=oidc). What they may see says the access policy with the product's RBAC, for each file on
    each request. SIGTERM and Ctrl-C end it. Logs are JSON lines on standard error; who opened what is in the audit log.

    Examples:
        analytics portal
        analytics portal --host 0.0.0.0 --port 8000
    """
    if context.invoked_subcommand is not None:
        return
    from analytics_platform.defs.resources import store_from
    from analytics_platform.intake.collector.logs import configure_logs
    from analytics_platform.portal.service import serve_portal

    configure_logs()
    settings = read_settings()
    serve_portal(
        settings,
        store_from(settings),
        settings.portal_host if host is None else host,
        settings.portal_port if port is None else port,
        on_listening=lambda url: click.echo(f"Portal: {url}"),
    )


@portal.group()
def users() -> None:
    """Who may sign in with the local login, as whom."""


@users.command("list")
@as_json
def list_(as_json: bool) -> None:
    """Show users with their principals; passwords are kept nowhere.

    Examples:
        analytics portal users list
    """
    found = _users().all()
    told = [
        {"user": name, "principal": user.principal, "password_changed_at": user.changed_at}
        for name, user in sorted(found.items())
    ]
    lines = [f"{name:<28} {user.principal:<32} {user.changed_at:%Y-%m-%d}" for name, user in sorted(found.items())]
    show({"users": told}, as_json, lines or ["No users; `analytics portal users add NAME --principal ID` adds one"])


@users.command()
@click.argument("name")
@click.option("--principal", help="Who this is in the product's RBAC; by default the name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is generated.")
@as_json
def add(name: str, principal: str | None, password_stdin: bool, as_json: bool) -> None:
    """Let somebody sign in; a generated password is shown this once.

    Examples:
        analytics portal users add ann --principal usr_finance_1
    """
    from analytics_platform.portal.users import NewUser

    password, generated = _password(password_stdin)
    _users().add(NewUser(name, principal or name, password))
    _show_password(name, generated, as_json, f"{name} may sign in as {principal or name}")


@users.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is generated.")
@as_json
def set_password(name: str, password_stdin: bool, as_json: bool) -> None:
    """Set another password; whoever is signed in under the old one has to sign in again.

    Examples:
        analytics portal users password ann
    """
    password, generated = _password(password_stdin)
    _users().set_password(name, password)
    _show_password(name, generated, as_json, f"{name} has another password")


@users.command()
@click.argument("name")
@as_json
def remove(name: str, as_json: bool) -> None:
    """Remove a user; their sessions end at once.

    Examples:
        analytics portal users remove ann
    """
    _users().remove(name)
    show({"removed": name}, as_json, [f"{name} is removed"])


@portal.command()
@click.option("--user", help="Only this principal's: the RBAC's id, an e-mail address, or its reference.")
@click.option("--key", help="Only files whose key begins so, such as dashboards/finance/.")
@click.option("--since", type=Day(), help="Only from this day on, in UTC.")
@as_json
def audit(user: str | None, key: str | None, since: date | None, as_json: bool) -> None:
    """Who opened what, who signed in, who was refused; oldest first.

    Examples:
        analytics portal audit --since 2026-11-01
        analytics portal audit --key dashboards/finance/ --json
    """
    from analytics_platform.defs.resources import rbac_key
    from analytics_platform.governance.access.memberships import reference
    from analytics_platform.portal.service import audit_of

    settings = read_settings()
    who = reference(user, rbac_key(settings)) if user else None
    found = list(audit_of(settings).read(user=who, key=key, since=since))
    show({"entries": found}, as_json, [_line(entry) for entry in found] or ["Nothing is on record"])


def demo_users() -> list[str]:
    """Give the demo's people passwords, once, and say them; later say how to set others."""
    from analytics_platform.demo.rbac import is_demo, sign_ins
    from analytics_platform.portal.users import NewUser, new_password
    from analytics_platform.settings import RBAC_EXPORT

    settings = read_settings()
    if settings.portal_login != "local":
        return []
    known = _users()
    if known.exist:
        names = sorted(known.all())
        return (
            [f"Users       {', '.join(names[:6])}; forgotten? analytics portal users password {names[0]}"]
            if names
            else []
        )
    if not is_demo(settings.home / RBAC_EXPORT):
        return ["Users       none yet; analytics portal users add NAME --principal ID"]
    new = [NewUser(name, principal, new_password()) for name, principal in sign_ins(read_catalog())]
    known.add(*new)
    width = max(len(each.name) for each in new)
    return [
        "Users       shown this once; only hashes are kept",
        *(f"  {each.name:<{width}}  {each.password}" for each in new),
    ]


def _users() -> Users:
    from analytics_platform.portal.users import users_of

    return users_of(read_settings())


def _password(from_stdin: bool) -> tuple[str, str | None]:
    """The password to set, and again where it was generated and has to be shown."""
    from analytics_platform.portal.users import new_password

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), None
    generated = new_password()
    return generated, generated


def _show_password(name: str, generated: str | None, as_json: bool, done: str) -> None:
    answer = {"user": name, **({"password": generated} if generated else {})}
    handed = [f"The password of {name}; it is shown this once:", "", f"  {generated}"] if generated else []
    show(answer, as_json, [done, *handed])


def _line(entry: dict[str, Any]) -> str:
    who = (entry["who"] or "-") + (f" as {entry['audience']}" if entry["audience"] else "")
    what = " ".join(filter(None, (entry["key"], entry["reason"] and f"({entry['reason']})")))
    head = f"{entry['at']}  {entry['action']:<7} {entry['outcome']:<12} {who:<48} {entry['address'] or '-':<15}"
    return f"{head} {what}".rstrip()
