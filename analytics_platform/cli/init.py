"""``analytics init``: a new deployment from answers, with settings that the doctor passes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Command
from analytics_platform.cli.common import as_json as json_option

_LOOKED_AT = ("settings", "disk")
_ENVIRONMENTS = ("local", "ci", "staging", "production")
_QUESTIONS: Mapping[str, tuple[str, str]] = {
    "environment": ("Environment (local, ci, staging, production)", "local"),
    "time_zone": ("Time zone of schedules and reports", "Europe/Amsterdam"),
    "lake": ("Bucket of the lake, s3://… or gs://…; empty for a folder", ""),
    "warehouse": ("Warehouse", "duckdb"),
    "postgres": ("PostgreSQL server of Dagster's records; empty for SQLite", ""),
    "tenant": ("Id of the first tenant, such as oost-events; empty for none", ""),
    "slack": ("Slack channel of the weekly report over all tenants, such as #executives; empty for none", ""),
}
"""What is asked where no option says it, and what an empty line means."""

_BEYOND = "Data that is no events: analytics connectors --help. Streams, KPIs and pages of your own: docs/extending.md"


@click.command(cls=Command)
@click.option("--home", type=click.Path(path_type=Path), help="Its folder.  [default: ANALYTICS_HOME, else .analytics]")
@click.option("--environment", type=click.Choice(_ENVIRONMENTS), help="Which schedules exist.  [default: local]")
@click.option("--time-zone", help="Of schedules and of the platform-wide day.  [default: Europe/Amsterdam]")
@click.option("--lake", help="Bucket of the lake, s3://bucket/prefix or gs://bucket/prefix; by default a folder.")
@click.option("--endpoint", help="Address of a store that speaks S3's protocol, if not AWS.")
@click.option("--region", help="Region of the bucket.")
@click.option("--warehouse", help="Product that holds the tables.  [default: duckdb]")
@click.option("--postgres", help="PostgreSQL server of Dagster's records; by default SQLite.")
@click.option("--tenants-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="One that is there.")
@click.option("--tenant", help="Id of the first tenant, for whom a tenants file is written.")
@click.option("--tenant-name", help="Its name.  [default: its id]")
@click.option("--country", default="NL", show_default=True, help="Its country, ISO 3166.")
@click.option("--currency", default="EUR", show_default=True, help="Its currency, ISO 4217.")
@click.option("--slack", help="Channel of the weekly report over all tenants, such as #executives.")
@click.option("--set", "others", multiple=True, metavar="NAME=VALUE", help="Any other setting; the value as in YAML.")
@click.option("--ask/--yes", default=None, help="Ask for what no option says.  [default: on a terminal]")
@json_option
def init(home: Path | None, others: tuple[str, ...], ask: bool | None, as_json: bool, **told: Any) -> None:
    """Make a new deployment: write its settings.yaml, and a tenants.yaml where a tenant is named.

    Secrets are never written: they are variables (ANALYTICS_SLACK_TOKEN, ANALYTICS_DAGSTER_POSTGRES_PASSWORD). What is
    there already stays: the same answers again change nothing, others are refused. Ends with what `analytics doctor`
    says of the settings; exit code 1 where something fails.

    Examples:
        analytics init
        analytics init --home /srv/analytics --yes --environment production --lake s3://rental-lake/eu
        analytics init --yes --warehouse snowflake --set snowflake_account=acme-eu --set snowflake_user=LOADER
    """
    from analytics_platform.first_settings import SETTINGS_NAME, begin
    from analytics_platform.settings import PREFIX, default_home, temporary_environment

    folder = (home or default_home()).expanduser().resolve()
    answers = _answers(told, sys.stdin.isatty() and not as_json if ask is None else ask)
    is_new = not (folder / SETTINGS_NAME).exists()
    chosen = {**_settings(folder, answers), **_others(others)}
    path = begin(folder, chosen, _tenant(answers))
    with temporary_environment({f"{PREFIX}HOME": str(folder), f"{PREFIX}SETTINGS_FILE": str(path)}):
        _end(path, answers, is_new, as_json)


def _answers(told: Mapping[str, Any], ask: bool) -> dict[str, Any]:
    answers = dict(told)
    for name, (question, default) in _QUESTIONS.items():
        is_said = answers[name] is not None or (name == "tenant" and answers["tenants_file"] is not None)
        if ask and not is_said:
            answers[name] = click.prompt(question, default=default, show_default=bool(default), err=True)
    return answers


def _settings(home: Path, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name; an answer that is empty is the default."""
    from analytics_platform.first_settings import TENANTS_NAME

    own = home / TENANTS_NAME if answers["tenant"] else answers["tenants_file"]
    chosen = {
        "home": str(home),
        "environment": answers["environment"],
        "reporting_time_zone": answers["time_zone"],
        "tenants_file": own and str(own.resolve()),
        "lake_url": answers["lake"],
        "lake_s3_endpoint": answers["endpoint"],
        "lake_s3_path_style": True if answers["endpoint"] else None,
        "lake_s3_region": answers["region"],
        "warehouse": answers["warehouse"],
        "dagster_postgres_host": answers["postgres"],
        "executives_channel": answers["slack"],
    }
    return {name: value for name, value in chosen.items() if value not in (None, "")}


def _tenant(answers: Mapping[str, Any]) -> dict[str, str] | None:
    if not answers["tenant"]:
        return None
    zone = answers["time_zone"] or _QUESTIONS["time_zone"][1]
    names = {"tenant_id": answers["tenant"], "name": answers["tenant_name"] or answers["tenant"], "time_zone": zone}
    return {**names, "country": answers["country"], "currency": answers["currency"]}


def _others(pairs: tuple[str, ...]) -> dict[str, Any]:
    import yaml

    found = {}
    for pair in pairs:
        name, is_one, value = pair.partition("=")
        if not is_one:
            raise click.UsageError(f"--set {pair}: write it as NAME=VALUE")
        found[name] = yaml.safe_load(value)
    return found


def _end(path: Path, answers: Mapping[str, Any], is_new: bool, as_json: bool) -> None:
    from analytics_platform.cli.doctor import show_findings
    from analytics_platform.doctor.deployment import Deployment
    from analytics_platform.doctor.examination import chosen, examine, outcomes

    deployment = Deployment()
    looked = examine(
        deployment, list(chosen(_LOOKED_AT, deployment)), timeout=30, tell=None if as_json else show_findings
    )
    has_failed = bool(outcomes(looked)["fail"])
    next_steps = [f"export ANALYTICS_HOME={path.parent}", "analytics doctor"]
    if answers["tenant"]:
        next_steps.append(f"analytics keys create {answers['tenant']} NAME --kind server")
    answer = {
        "settings_file": str(path),
        "written": is_new,
        "passed": not has_failed,
        "next": next_steps,
        "probes": [asdict(each) for each in looked],
    }
    told = f"Wrote {path}" if is_new else f"{path} says so already, and stays as it is"
    show(answer, as_json, ["", f"{told}. Next:", *(f"  {step}" for step in next_steps), _BEYOND])
    raise SystemExit(int(has_failed))
