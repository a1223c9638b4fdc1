"""What dbt is spared gives what it would give: the same macros by name, the same lines in its log."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.column import DuckDBColumn
from dbt.adapters.duckdb.impl import DuckDBAdapter
from dbt.adapters.duckdb.relation import DuckDBRelation
from dbt.context.macros import MacroNamespaceBuilder
from dbt.events.types import MainEncounteredError
from dbt.exceptions import PackageNotFoundForMacroError
from dbt_common.events import event_manager_client
from dbt_common.events.base_types import EventLevel
from dbt_common.events.functions import fire_event
from dbt_common.events.logger import LineFormat, LoggerConfig
from dbt_common.events.types import Note
from dbt_common.exceptions import DbtRuntimeError

from analytics_platform.defs.dbt_overhead import FILE_LEVEL, spare_overhead


def namespace(search_package: str) -> Any:
    """What a node of a package sees where each package has macros of its own and of others' names."""
    spare_overhead()
    macros = {
        "dbt": {"of_dbt", "everywhere", "of_adapter_too", "of_project_too"},
        "dbt_duckdb": {"of_adapter_too", "everywhere"},
        "house": {"everywhere", "of_project_too", "of_package_too"},
        "added": {"everywhere", "of_package_too"},
    }
    by_package = {
        package: {name: SimpleNamespace(name=name, package_name=package, unique_id=name) for name in names}
        for package, names in macros.items()
    }
    builder = MacroNamespaceBuilder("house", search_package, None, ["dbt_duckdb", "dbt"])  # type: ignore[arg-type]
    return builder.build_namespace(by_package, {})  # type: ignore[arg-type]


def winners(found: Any) -> dict[str, str]:
    return {name: each.macro.package_name for name, each in found.items() if hasattr(each, "macro")}


def test_a_node_gets_its_own_packages_macro_then_the_projects_then_the_adapters_then_dbts() -> None:
    of_project = {"of_dbt": "dbt", "of_adapter_too": "dbt_duckdb", "of_project_too": "house"}
    assert winners(namespace("house")) == of_project | {"everywhere": "house", "of_package_too": "house"}
    assert winners(namespace("added")) == of_project | {"everywhere": "added", "of_package_too": "added"}


def test_macros_are_found_by_their_package_too() -> None:
    found = namespace("house")
    assert found["added"]["everywhere"].macro.package_name == "added"
    assert found["dbt"]["everywhere"].macro.package_name == "dbt_duckdb"
    assert found.get_from_package("added", "everywhere").macro.package_name == "added"
    assert found.get_from_package("dbt", "of_dbt").macro.package_name == "dbt"
    assert found.get_from_package(None, "everywhere").macro.package_name == "house"
    assert found.get_from_package("house", "of_dbt") is None
    with pytest.raises(PackageNotFoundForMacroError):
        found.get_from_package("dbt_duckdb", "everywhere")


def test_events_below_the_logs_level_are_dropped_and_all_others_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare_overhead()
    manager = event_manager_client.get_event_manager()
    monkeypatch.setattr(manager, "loggers", [])
    heard: list[str] = []
    monkeypatch.setattr(manager, "callbacks", [lambda message: heard.append(message.info.msg)])
    log = LoggerConfig("log", level=EventLevel(FILE_LEVEL), output_file_name=str(tmp_path / "log"))
    log.line_format, log.filter, log.scrubber = LineFormat.PlainText, lambda _: True, lambda text: text
    manager.add_logger(log)
    fire_event(Note(msg="too fine"), level=EventLevel.DEBUG)
    fire_event(Note(msg="worth a line"), level=EventLevel.INFO)
    fire_event(Note(msg="a warning"), level=EventLevel.WARN)
    fire_event(MainEncounteredError(exc="an error"))
    manager.flush()
    lines = (tmp_path / "log").read_text()
    assert [text in lines for text in ("too fine", "worth a line", "a warning", "an error")] == [
        False,
        True,
        True,
        True,
    ]
    assert heard[0] == "worth a line"


def test_an_event_is_worded_when_it_is_read_and_says_what_it_was_told() -> None:
    spare_overhead()
    event = Note(msg="worth a line")
    assert "pb_msg" not in vars(event)
    assert (event.msg, event.message(), event.to_dict()) == ("worth a line", "worth a line", {"msg": "worth a line"})
    event.msg = "another"
    assert event.message() == "another"
    with pytest.raises(AttributeError):
        _ = event.never_told


class Connections:
    """DuckDB as dbt's connections ask it."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("create table facts (day date, amount decimal(18, 4), tags varchar[])")

    def add_select_query(self, sql: str) -> tuple[object, duckdb.DuckDBPyConnection]:
        """Answer, or raise as dbt's adapter does."""
        try:
            return None, self._connection.execute(sql)
        except duckdb.Error as error:
            raise DbtRuntimeError(str(error)) from error


@pytest.mark.parametrize(
    ("table", "columns"),
    [("facts", [("day", "DATE"), ("amount", "DECIMAL(18,4)"), ("tags", "VARCHAR[]")]), ("nowhere", [])],
)
def test_a_table_is_described_without_a_macro_and_one_that_is_not_there_has_no_columns(
    table: str, columns: list[tuple[str, str]]
) -> None:
    spare_overhead()
    asked = SimpleNamespace(connections=Connections(), Column=DuckDBColumn)
    relation = DuckDBRelation.create(schema="main", identifier=table)
    found = DuckDBAdapter.get_columns_in_relation(asked, relation)  # type: ignore[arg-type]
    assert [(column.name, column.data_type) for column in found] == columns
