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
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

from analytics_platform.defs.dbt_overhead import FILE_LEVEL, spare_overhead
from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import temporary_environment

_PARSED = "partial_parse.msgpack"
_DUCKDB_FILE = "ANALYTICS_WAREHOUSE_PATH"
_PROJECT_FILES = frozenset({".sql", ".yml", ".csv", ".md"})
_PARSED_PROJECTS: dict[tuple[object, ...], Any] = {}
"""The manifest of the project that was parsed last, by its files and its connection: parsing takes a second or two."""

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
"""What asks a process to end; where Dagster runs a step, it takes both for the same."""

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


def _nothing_is_open() -> None:
    """What there is to let go of where dbt ends its sessions with each invocation."""


@dataclass(frozen=True)
class DbtConnection:
    """How dbt reaches a warehouse.

    Attributes:
        target: the output of profiles.yml, named as the setting `warehouse` names the product.
        environment: variables that this output reads.
        parsing: those that a parse is given in their place. It connects to nothing, and dbt parses all again where the
            connection is another than that of the parse before.
        release: lets go of what dbt keeps open between two invocations; of a server's sessions it keeps none.
        at_work: further variables, which only the work at hand decides.
    """

    target: str
    environment: Mapping[str, str] = field(repr=False)
    parsing: Mapping[str, str]
    release: Callable[[], None] = _nothing_is_open
    at_work: Callable[[], Mapping[str, str]] = dict


def duckdb_connection(path: Path) -> DbtConnection:
    """Dbt on a DuckDB file."""
    return DbtConnection("duckdb", {_DUCKDB_FILE: str(path)}, {_DUCKDB_FILE: path.name}, _release_duckdb)


@dataclass
class DbtBuild:
    """dbt over one project and one warehouse.

    Args:
        project_dir: folder of dbt_project.yml and profiles.yml.
        connection: the warehouse that dbt writes.
        target_dir: where dbt writes artifacts and logs; never inside the project, which may be read-only.
        schema_prefix: what the names of its schemas begin with.
        after_models: gives, by `schema.name`, statements that protect a table again which its build has made anew.
    """

    project_dir: Path
    connection: DbtConnection
    target_dir: Path
    schema_prefix: str = ""
    after_models: Callable[[], Mapping[str, Sequence[str]]] | None = field(default=None, repr=False)
    _manifest: Any = field(default=None, repr=False)

    def build(
        self, first: date, last: date, *, select: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> list[NodeResult]:
        """Build the selected nodes for the days `first` to `last`; no selection means all.

        The caller holds the warehouse (`Warehouse.exclusive`): dbt connects by itself, and lets go at the end.

        Raises:
            DbtBuildError: dbt could not even start on the nodes (a parse or connection error).
        """
        variables: dict[str, Any] = {"start_day": first.isoformat(), "end_day": last.isoformat()}
        if self.after_models is not None:
            variables["after_models"] = self.after_models()
        arguments = ["build", "--indirect-selection", "empty", "--vars", json.dumps(variables)]
        arguments += [*_NO_UNIT_TESTS, _NO_ARTIFACTS]
        arguments += ["--select", *select] if select else []
        arguments += ["--exclude", *exclude] if exclude else []
        return [_node_result(result) for result in self._invoke(arguments).results]

    def parse(self, target_dir: Path | None = None) -> Any:
        """Parse the project and write `manifest.json`, by default into the project's own target folder; dbt's manifest.

        A target folder without a parse starts from that of the project's own, and dbt reads again only what has changed
        since.
        """
        parsed, target = self.project_dir / "target" / _PARSED, target_dir or self.project_dir / "target"
        if parsed.exists() and not (target / _PARSED).exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(parsed, target / _PARSED)
        self._manifest = self._run(["parse"], target, self.connection.parsing).result
        return self._manifest

    def docs(self) -> None:
        """Write dbt's documentation site beside the manifest."""
        self._run(["docs", "generate", "--static"], self.project_dir / "target")

    def _invoke(self, arguments: Sequence[str]) -> Any:
        if self._manifest is None:
            self._manifest = self._parsed()
        return self._run(arguments, self.target_dir).result

    def _parsed(self) -> Any:
        """The project as this process has parsed it before, where none of its files has changed since, or anew."""
        files = [path for path in sorted(self.project_dir.rglob("*.*")) if path.suffix in _PROJECT_FILES]
        states = [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
        project = (*states, self.connection.target, *sorted(self.connection.parsing.items()), self.schema_prefix)
        if project not in _PARSED_PROJECTS:
            _PARSED_PROJECTS.clear()
            _PARSED_PROJECTS[project] = self.parse(self.target_dir)
        return _PARSED_PROJECTS[project]

    def _run(self, arguments: Sequence[str], target_dir: Path, connection: Mapping[str, str] | None = None) -> Any:
        """One dbt invocation. Its outcome holds a result even when nodes fail; no result is an error of dbt itself."""
        from dbt.cli.main import dbtRunner

        _take_turns_for_cursors()
        stop_at_once()
        name_flags_at_once()
        spare_overhead()
        variables = connection or {**self.connection.environment, **self.connection.at_work()}
        with self._environment(target_dir, variables), interruptible_dbt():
            outcome = dbtRunner(manifest=self._manifest).invoke([*self._global_flags(), *arguments])
            self.connection.release()
        if outcome.result is None:
            raise DbtBuildError(f"dbt {arguments[0]} failed: {outcome.exception or 'see its log'}")
        return outcome

    def _global_flags(self) -> list[str]:
        log_dir = str(self.target_dir / "logs")
        return ["--log-level", "none", "--log-level-file", FILE_LEVEL, "--log-path", log_dir, "--no-use-colors"]

    @contextmanager
    def _environment(self, target_dir: Path, connection: Mapping[str, str]) -> Iterator[None]:
        """Dbt's settings, for as long as it runs: profiles.yml and dbt_project.yml read them from the environment."""
        target_dir.mkdir(parents=True, exist_ok=True)
        with temporary_environment(
            {
                "ANALYTICS_WAREHOUSE": self.connection.target,
                "ANALYTICS_WAREHOUSE_SCHEMA_PREFIX": self.schema_prefix,
                **connection,
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


def _release_duckdb() -> None:
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


@contextmanager
def interruptible_dbt() -> Iterator[None]:
    """Let an interrupt end dbt as Ctrl-C does, and only then go on as what it is for who runs dbt.

    dbt (1.11) stops its queries and waits for its threads at a KeyboardInterrupt alone, and returns it, or what it led
    to, as a failure of its own. Within a step Dagster raises an exception that dbt does not know: its threads went on,
    kept the warehouse's file open, and aborted the process if it ended meanwhile. A second interrupt would have them
    left in the same way, so it changes nothing.

    Raises:
        BaseException: what the handler of before has raised at the interrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no other is interrupted
        return
    handlers = {number: handler for number in _INTERRUPTS if callable(handler := signal.getsignal(number))}
    raised: list[BaseException] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if raised:
            return
        try:
            handlers[signal.Signals(number)](number, frame)
        except BaseException as error:
            raised.append(error)
            raise KeyboardInterrupt from error

    try:
        for number in handlers:
            signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if raised:
            raise raised[0]


def stop_at_once() -> None:
    """Let a connection of dbt's that is stopped take no further statement, and be closed by its thread meanwhile.

    dbt-duckdb (1.11.1) interrupts what DuckDB works on at that moment. Between two statements of a model that is
    nothing, and its thread goes on; on a closed connection it is an error, and dbt does not wait for its threads.
    """
    from dbt.adapters.duckdb.environments.local import LocalEnvironment
    from duckdb import ConnectionException, InterruptException

    def refuse(*_: object) -> None:
        raise InterruptException("stopped")

    def cancel(connection: Any) -> None:
        cursor = connection.handle.cursor()
        cursor.execute = refuse
        with suppress(ConnectionException):
            cursor.interrupt()

    LocalEnvironment.cancel = staticmethod(cancel)  # type: ignore[method-assign]


def name_flags_at_once() -> None:
    """Tell dbt's flags of behavior whose they are, before each of them looks for it.

    dbt-common (1.39) names the module that made a flag by reading the source of every frame of the stack, also where it
    is never told: 70 ms for each of the adapter's two flags, in each invocation.
    """
    from dbt_common.behavior_flags import BehaviorFlagRendered

    BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt.adapters")  # type: ignore[method-assign]
