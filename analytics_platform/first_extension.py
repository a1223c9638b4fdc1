"""The first extension of a deployment: a stream with one event, what has to be said of it, and a model that reads it.

Belongs here: the text of the files. Stays out: what an extension may hold, which the rooms that load it know
(docs/extending.md).
"""

from __future__ import annotations

from pathlib import Path

from analytics_platform.errors import AnalyticsError


class FolderInUseError(AnalyticsError):
    """The folder has files that are not ours to mix with."""


def begin(folder: Path) -> list[str]:
    """Write the files into a folder that is empty or not there; their paths below it.

    Raises:
        FolderInUseError: the folder has something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderInUseError(f"{folder} is not empty; name another folder, or empty it")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return list(FILES)


_README = """\
# What this deployment adds to the analytics platform

- `catalog/` declares: streams and events (`plan/`), tables (`datasets.yaml`), KPIs, dashboards, owners, tenants, texts
  in other languages; the files are laid out as those of the platform's catalogue. `additions.yaml` lengthens lists that
  the platform declares: who sees a table, which purpose it serves, which KPIs a dashboard shows.
- `dbt/` has `models/<layer>/<domain>/`, `macros/`, `seeds/` and `tests/`. Models refer to the platform's by `ref`.
  Staging models of events are made from the plan.
- `expectations/` has suites of Great Expectations, one file for each KPI table and extract.

`analytics extension check` says whether all of it fits and what it adds. After a change: `analytics manifest`.
"""

_PLAN = """\
# A stream: the module that data comes from, the unit of ownership, lineage and retention. It has a file of its name.
name: checklists
order: 101  # of display; the platform's streams keep 1 to 99
title: Checklists
description: "Checklists that warehouse staff work through."
owner: operations  # a team of owners.yaml, the platform's or your own
sla_tier: bronze  # what is promised about time, and which checks the tables must have: gold, silver or bronze
retention_class: operations  # how long it must and may be kept
events:
  checklist.completed:  # object.action, in the past tense
    title: Checklist completed
    description: "Somebody worked through a checklist."
    emitted_by: [backend]
    feeds: [service_health]  # KPIs; service_health where there is none yet
    occurred_at: completed_at  # the property with the business time, or null for the message's own
    fields:
      # Each property has a class of personal data: none, pseudonymous, personal or sensitive. Retention, erasure, masks
      # and grants follow from it.
      checklist_id: {type: id, required: true, pii: none, description: "The checklist."}
      worker_ref: {type: ref, required: true, pii: personal, description: "Who worked through it; personal data."}
      completed_at: {type: timestamp, required: true, pii: none, description: "When it was completed."}
"""

_QUALITY = """\
# What is expected of the stream, per tenant and day; the platform's stream_quality.yaml says what each means.
checklists:
  dead_letters: {max_share: 0.02, tolerated_rows: 2}
  duplicates: {max_share: 0.1, tolerated_rows: 5}
  volume: {weekdays: 12, min_weekdays: 4, min_median_rows: 20, max_deviations: 6}
  expected_tenants: {weekdays: 8, min_weekdays: 4, min_median_rows: 20}
  busy_hours: null
  vanished_events: {weeks: 12, min_days_seen: 20, min_days_absent: 6, times_longest: 2}
"""

_DATASETS = """\
# Every table that the extension adds: what is not here is not built, since nothing would ever delete it. Staging tables
# follow from the plan.
raw.checklists:
  layer: raw
  description: "De-duplicated messages of the checklists stream, one row each."
  owner: operations
  retention_class: operations
  sla_tier: bronze
  tenant_column: tenant_id
  subject_columns: [user_id, anonymous_id]
  pii_columns: [user_id, anonymous_id, properties, context, traits, extra]
marts.fct_checklists:
  layer: marts
  description: "Completed checklists, one row each."
  owner: operations
  retention_class: operations
  sla_tier: bronze
  tenant_column: tenant_id
  subject_columns: [worker_ref]  # whom a row is about: erasure looks here
  pii_columns: [worker_ref]  # all columns that speak of a person
  clock_column: completed_on  # the business date that retention counts from
"""

_ADDITIONS = """\
# Lists of the platform's declarations that grow: purposes of personal data, and what roles see. Without a purpose, data
# that speaks of people does not load; without a role, only administrators see it.
processing_activities:
  fleet_and_logistics:
    datasets: [raw.checklists, "staging.stg_checklists__*", marts.fct_checklists]
access_roles:
  operations:
    datasets: ["staging.stg_checklists__*", marts.fct_checklists]
"""

_MODEL = """\
-- One row for each checklist: what is told again later does not count.

with completed as (
    select *
    from {{ ref("stg_checklists__checklist_completed") }}
    qualify row_number() over (
        partition by tenant_id, checklist_id order by completed_at, received_at, message_id
    ) = 1
)

select
    tenant_id,
    checklist_id,
    occurred_on as completed_on,
    worker_ref,
    completed_at
from completed
"""

_MODEL_YAML = """\
version: 2

models:
  - name: fct_checklists
    description: Completed checklists, one row each.
    config:
      meta: {owner: operations}
    data_tests:
      # A test is an asset check; the tier demands this one of each mart and KPI table.
      - keyed_by: {arguments: {columns: [tenant_id, checklist_id]}}
    columns:
      # All columns with type and class: the contract is enforced, and a column without a class is refused.
      - {name: tenant_id, data_type: varchar, description: Tenant., config: {meta: {pii: none}}}
      - {name: checklist_id, data_type: varchar, description: The checklist., config: {meta: {pii: none}}}
      - {name: completed_on, data_type: date, description: Date of it., config: {meta: {pii: none}}}
      - {name: worker_ref, data_type: varchar, description: Who worked through it., config: {meta: {pii: personal}}}
      - {name: completed_at, data_type: timestamp, description: "When, in UTC.", config: {meta: {pii: none}}}
"""

FILES = {
    "README.md": _README,
    "catalog/plan/checklists.yaml": _PLAN,
    "catalog/stream_quality.yaml": _QUALITY,
    "catalog/datasets.yaml": _DATASETS,
    "catalog/additions.yaml": _ADDITIONS,
    "dbt/models/marts/operations/fct_checklists.sql": _MODEL,
    "dbt/models/marts/operations/_checklists.yml": _MODEL_YAML,
}
"""The files by their path in the extension's folder."""
