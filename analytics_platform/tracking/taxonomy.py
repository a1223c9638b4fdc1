"""The tracking plan as something to compare: compiled with all that a change of it may break, and read from anywhere.

A compiled plan is plain JSON, so that it can be published beside a release. What counts as breaking between two of them
is in :mod:`analytics_platform.tracking.plan_diff`.
"""

import io
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, ValidationError

from analytics_platform.catalog import Event, load_plan
from analytics_platform.errors import AnalyticsError
from analytics_platform.tracking.plan import JsonSchema, event_schema

CATALOG_PATH = "analytics_platform/catalog"
"""Where the catalogue's folder lies in a revision of the repository."""


class PlanSourceError(AnalyticsError):
    """What was named is no plan: no catalogue's folder, no compiled plan, no revision."""


class _Compiled(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CompiledField(_Compiled):
    """A property of an event; ``accepts`` is the JSON Schema of its values, without its description."""

    required: bool
    pii: str
    unit: str | None
    description: str
    accepts: JsonSchema


class CompiledEvent(_Compiled):
    """An event; ``occurred_at`` names the property with the business time, if there is one."""

    stream: str
    description: str
    schema_versions: tuple[int, ...]
    occurred_at: str | None
    fields: Mapping[str, CompiledField]


class CompiledPlan(_Compiled):
    """All events of a plan by name."""

    events: Mapping[str, CompiledEvent]


def compile_plan(events: Mapping[str, Event]) -> CompiledPlan:
    """Compile the events of a catalogue."""
    return CompiledPlan(events={name: _compiled(event) for name, event in events.items()})


def _compiled(event: Event) -> CompiledEvent:
    properties = event_schema(event)["properties"]
    fields = {
        field.name: CompiledField(
            required=field.required,
            pii=field.pii,
            unit=field.unit,
            description=field.description,
            accepts={key: value for key, value in properties[field.name].items() if key != "description"},
        )
        for field in event.all_fields
    }
    return CompiledEvent(
        stream=event.stream,
        description=event.description,
        schema_versions=event.schema_versions,
        occurred_at=event.occurred_at,
        fields=fields,
    )


def read_plan(source: str, repository: Path) -> CompiledPlan:
    """Read a plan from where it lies.

    Args:
        source: a catalogue's folder (or the `plan` folder in it), a file with a compiled plan, or a git revision.
        repository: the checkout whose revisions are meant.

    Raises:
        PlanSourceError: the source is none of these, or its JSON is no compiled plan.
        CatalogError: the plan's YAML does not load.
    """
    path = Path(source)
    if path.is_dir():
        return compile_plan(load_plan(path.parent if path.name == "plan" else path))
    if path.is_file():
        return _from_json(path)
    with TemporaryDirectory() as folder:
        _check_out(source, repository, Path(folder))
        return compile_plan(load_plan(Path(folder, CATALOG_PATH)))


def _from_json(path: Path) -> CompiledPlan:
    try:
        return CompiledPlan.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        mend = "write it with `analytics taxonomy compile`"
        raise PlanSourceError(f"{path}: {where}: {first['msg']}; {mend}") from error


def _check_out(revision: str, repository: Path, folder: Path) -> None:
    """Put the catalogue of a revision into a folder."""
    if revision.startswith("-"):
        raise PlanSourceError(f"{revision!r} is no revision; write a branch, a tag or a commit")
    command = ["git", "-C", str(repository), "archive", "--format=tar", revision, "--", CATALOG_PATH]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise PlanSourceError(
            f"{revision!r} is no folder, no file and no git revision with a plan "
            f"({done.stderr.decode(errors='replace').strip()}); "
            "name a catalogue's folder, a compiled plan (.json) or a revision such as main"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
        files.extractall(folder, filter="data")
