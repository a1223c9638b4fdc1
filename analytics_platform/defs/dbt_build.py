"""Running dbt within this process.

Belongs here: one dbt invocation, its settings and its outcome. Stays out: Dagster (`defs.dbt` turns outcomes into
its events) and the models themselves.

Why not dagster-dbt's command line resource: it starts `dbt --version`, imports dbt here for column metadata, and
starts dbt again as a process that parses the whole project, since changed vars void dbt's partial parse. Within this
process the project is parsed once and every later build of a run reuses it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import temporary_environment

_PARSED = "partial_parse.msgpack"
_NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
"""They judge SQL, not data, and run in the test suite; the name of a model would choose those of the model too."""

_NO_ARTIFACTS = "--no-write-json"
"""The manifest again, two megabytes, and the results, which this process is given: each build would wait for them."""


class DbtBuildError(AnalyticsError):
    """dbt could not build; the text is dbt's own for each node that failed."""


@dataclass(frozen=True)
class NodeResult:
    """What became of one node (a model, a seed or a test) of the project."""

    unique_id: str
    status: str
    message: str
    failures: int | None
    seconds: float

    @property
    def built(self) -> bool:
        """Whether a model or seed now holds the asked-for days."""
        return self.status == "success"

    @property
    def failed(self) -> bool:
        """Whether dbt could not run the node; a test that found bad rows has not failed in this sense."""
        return self.status in {"error", "runtime error"}

    @property
    def passed(self) -> bool:
        """Whether a test found nothing wrong."""
        return self.status == "pass"

    @property
    def skipped(self) -> bool:
        """Whether dbt left the node out because of one before it."""
        return self.status == "skipped"


@dataclass
class DbtBuild:
    """dbt over one project and one warehouse.

    Args:
        project_dir: folder of dbt_project.yml and profiles.yml.
        warehouse_path: the DuckDB file that dbt writes.
        target_dir: where dbt writes artifacts and logs; never inside the project, which may be read-only.
    """

    project_dir: Path
    warehouse_path: Path
    target_dir: Path
    _manifest: Any = field(default=None, repr=False)

    def build(
        self, first: date, last: date, *, select: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> list[NodeResult]:
        """Build the selected nodes for the days `first` to `last`; no selection means all.

        The caller holds the warehouse's lock: dbt opens the file itself, and lets go of it at the end.

        Raises:
            DbtBuildError: dbt could not even start on the nodes (a parse or connection error).
        """
        variables = {"start_day": first.isoformat(), "end_day": last.isoformat()}
        arguments = ["build", "--indirect-selection", "empty", "--vars", json.dumps(variables)]
        arguments += [*_NO_UNIT_TESTS, _NO_ARTIFACTS]
        arguments += ["--select", *select] if select else []
        arguments += ["--exclude", *exclude] if exclude else []
        return [_node_result(result) for result in self._invoke(arguments).results]

    def parse(self, target_dir: Path | None = None) -> Any:
        """Parse the project and write `manifest.json`, by default into the project's own target folder; dbt's manifest.

        A target folder without a parse starts from that of the project's own, and dbt reads again only what has changed
        since. It compares the connection too, so a parse, which opens none, is told the warehouse's name alone.
        """
        parsed, target = self.project_dir / "target" / _PARSED, target_dir or self.project_dir / "target"
        if parsed.exists() and not (target / _PARSED).exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(parsed, target / _PARSED)
        self._manifest = self._run(["parse"], target, Path(self.warehouse_path.name)).result
        return self._manifest

    def docs(self) -> None:
        """Write dbt's documentation site beside the manifest."""
        self._run(["docs", "generate", "--static"], self.project_dir / "target")

    def _invoke(self, arguments: Sequence[str]) -> Any:
        if self._manifest is None:
            self.parse(self.target_dir)
        return self._run(arguments, self.target_dir).result

    def _run(self, arguments: Sequence[str], target_dir: Path, warehouse: Path | None = None) -> Any:
        """One dbt invocation. Its outcome holds a result even when nodes fail; no result is an error of dbt itself."""
        from dbt.cli.main import dbtRunner

        _take_turns_for_cursors()
        name_flags_at_once()
        with self._environment(target_dir, warehouse or self.warehouse_path):
            outcome = dbtRunner(manifest=self._manifest).invoke([*self._global_flags(), *arguments])
            _release_warehouse()
        if outcome.result is None:
            raise DbtBuildError(f"dbt {arguments[0]} failed: {outcome.exception or 'see its log'}")
        return outcome

    def _global_flags(self) -> list[str]:
        log_dir = str(self.target_dir / "logs")
        return ["--log-level", "none", "--log-level-file", "info", "--log-path", log_dir, "--no-use-colors"]

    @contextmanager
    def _environment(self, target_dir: Path, warehouse: Path) -> Iterator[None]:
        """Dbt's settings, for as long as it runs: profiles.yml and dbt_project.yml read them from the environment."""
        target_dir.mkdir(parents=True, exist_ok=True)
        with temporary_environment(
            {
                "ANALYTICS_WAREHOUSE_PATH": str(warehouse),
                "DBT_PROJECT_DIR": str(self.project_dir),
                "DBT_PROFILES_DIR": str(self.project_dir),
                "DBT_TARGET_PATH": str(target_dir),
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            }
        ):
            yield


def _node_result(result: Any) -> NodeResult:
    return NodeResult(
        unique_id=result.node.unique_id,
        status=str(result.status),
        message=result.message or "",
        failures=result.failures,
        seconds=result.execution_time,
    )


def _release_warehouse() -> None:
    """Close the DuckDB file that dbt keeps open for its next invocation; nobody else could write meanwhile."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def _take_turns_for_cursors() -> None:
    """Let dbt's threads open their cursors one after the other.

    dbt-duckdb (1.11.1) opens them on its one connection outside of its own lock, and DuckDB 2.0 refuses a call on a
    connection that is busy with another; on a machine under load that ended builds now and then.
    """
    from dbt.adapters.duckdb.environments.local import LocalEnvironment

    opens = LocalEnvironment.handle
    if getattr(opens, "takes_turns", False):
        return

    def handle(environment: LocalEnvironment) -> Any:
        with environment.lock:
            return opens(environment)  # type: ignore[no-untyped-call]

    handle.takes_turns = True  # type: ignore[attr-defined]
    LocalEnvironment.handle = handle  # type: ignore[method-assign]


def name_flags_at_once() -> None:
    """Tell dbt's flags of behavior whose they are, before each of them looks for it.

    dbt-common (1.39) names the module that made a flag by reading the source of every frame of the stack, also where it
    is never told: 70 ms for each of the adapter's two flags, in each invocation.
    """
    from dbt_common.behavior_flags import BehaviorFlagRendered

    BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt.adapters")  # type: ignore[method-assign]
