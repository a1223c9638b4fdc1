"""What dbt does for each node that nobody asks it for, and how it is told not to.

Belongs here: changes to dbt's own objects within this process that give the same rows, results and log for less. Stays
out: how dbt is run (`dbt_build`). A night has some two hundred nodes, most of them over small tables, so that what
dbt does around a query costs more than the query. Written for dbt-core 1.11; the versions are pinned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbt.context.macros import MacroNamespaceBuilder

FILE_LEVEL = "info"
"""From which level on dbt's events are written into its log."""


_DBT = "dbt"
"""The package under whose name all that comes with dbt and its adapter is found."""


class _Namespace(dict[str, Any]):
    """A node's macros by name, which copies at once; also by package, as the adapter's dispatch asks for them."""

    def __init__(self, by_name: Mapping[str, Any], by_package: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(by_name)
        self._by_package = by_package

    def get_from_package(self, package_name: str | None, name: str) -> Any:
        """A macro of a package, None where it has none of that name; without a package, any."""
        if package_name is None:
            return self.get(name)
        if package_name not in self._by_package:
            from dbt.exceptions import PackageNotFoundForMacroError

            raise PackageNotFoundForMacroError(package_name)
        return self._by_package[package_name].get(name)


def spare_overhead() -> None:
    """Put all of it into effect, once per process; later calls change nothing."""
    drop_unwritten_events()
    word_events_when_asked()
    flatten_macros_at_once()
    describe_at_once()


def drop_unwritten_events() -> None:
    """Let go of events below the log's level before dbt makes lines of them.

    dbt words each of its 25 events per node, wraps it into two messages and looks for secrets of the environment in
    it, and only then sees that the log has no place for it: a fifth of a build.
    """
    from dbt_common.events import event_manager_client
    from dbt_common.events.base_types import BaseEvent, EventLevel
    from dbt_common.events.event_manager import EventManager

    unwritten = {EventLevel.DEBUG, EventLevel.TEST}

    class WrittenEvents(EventManager):
        def fire_event(self, e: BaseEvent, level: EventLevel | None = None, *others: Any, **options: Any) -> None:
            if (level or e.level_tag()) not in unwritten:
                super().fire_event(e, level, *others, **options)

    if type(event_manager_client.get_event_manager()) is EventManager:
        event_manager_client.ctx_set_event_manager(WrittenEvents())


def word_events_when_asked() -> None:
    """Make an event's message when somebody reads it.

    dbt parses what it is told into a message of protobuf as soon as an event is made, three thousand times a build, and
    nobody reads those that are dropped: a twelfth of a build.
    """
    from dbt_common.events.base_types import BaseEvent

    event: Any = BaseEvent
    if getattr(event, "is_worded_when_asked", False):
        return
    word = event.__init__

    def note(self: BaseEvent, *told: Any, **named: Any) -> None:
        self.__dict__["told"] = (told, named)

    def read(self: BaseEvent, key: str) -> Any:
        if key != "pb_msg":
            return getattr(self.pb_msg, key)
        told, named = self.__dict__["told"]
        word(self, *told, **named)
        return self.__dict__[key]

    def write(self: BaseEvent, key: str, value: Any) -> None:
        if key == "pb_msg":
            self.__dict__[key] = value
        else:
            setattr(self.pb_msg, key, value)

    event.__init__, event.__getattr__, event.__setattr__ = note, read, write
    event.is_worded_when_asked = True


def describe_at_once() -> None:
    """Ask DuckDB for a table's columns without a macro.

    Incremental models compare the columns that they have with those that they get, a hundred times a build; each time
    dbt makes all macros for one of three lines, and a table of agate for its answer: a seventh of a build.
    """
    from dbt.adapters.duckdb.impl import DuckDBAdapter

    adapter: Any = DuckDBAdapter
    adapter.get_columns_in_relation = _columns


def _columns(adapter: Any, relation: Any) -> list[Any]:
    """A relation's columns as the adapter's macro gives them; none of one that is not there."""
    from dbt_common.exceptions import DbtRuntimeError

    try:
        _, cursor = adapter.connections.add_select_query(f"describe {relation.render()}")
    except DbtRuntimeError as error:
        if "does not exist" in str(error).lower():
            return []
        raise
    return [adapter.Column(name, kind, None, None, None) for name, kind, *_ in cursor.fetchall()]


def flatten_macros_at_once() -> None:
    """Give each node its macros in one go.

    dbt hands all seven hundred macros of adapter and project to each node, twice, and to each macro that the adapter
    runs, and looks every one of them up by name along five mappings when it makes them one: a sixth of a build.
    """
    from dbt.context import macros

    builder: Any = macros.MacroNamespaceBuilder
    builder.build_namespace = _build_namespace


def _build_namespace(
    builder: MacroNamespaceBuilder, macros_by_package: Mapping[str, Mapping[str, Any]], ctx: dict[str, Any]
) -> _Namespace:
    """The macros by name, in the order in which dbt prefers them; those of a package also below its name."""
    from dbt.clients.jinja import MacroGenerator

    node, stack = builder.node, builder.thread_ctx
    made = {
        package: {name: _macro(MacroGenerator, macro, ctx, node, stack) for name, macro in macros.items()}
        for package, macros in macros_by_package.items()
    }
    of_dbt: dict[str, Any] = {}
    for package in reversed(builder.internal_package_names_order):
        of_dbt.update(made.get(package, {}))
    packages = {name: macros for name, macros in made.items() if name not in builder.internal_package_names}
    of_project, own = packages.get(builder.root_package, {}), packages.get(builder.search_package, {})
    return _Namespace({**of_dbt, _DBT: of_dbt, **packages, **of_project, **own}, {_DBT: of_dbt, **packages})


def _macro(kind: Any, macro: Any, ctx: dict[str, Any], node: Any, stack: Any) -> Any:
    """What calls a macro, as its three constructors would leave it: there are two hundred thousand in a build."""
    made: Any = kind.__new__(kind)
    made.__dict__ = {"context": ctx, "macro": macro, "node": node, "stack": stack}
    return made
