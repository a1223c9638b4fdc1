"""What sqlfluff's jinja templater lacks of dbt: `adapter.dispatch`, `config.get` and `target`.

Belongs here: only what `.sqlfluff` needs to render a model without dbt; every name is one that models see. dbt never
loads this folder.
"""

from collections.abc import Callable
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context


class _Adapter:
    """Dispatches to the default (DuckDB) variant of a macro."""

    @staticmethod
    @pass_context
    def dispatch(context: Context, name: str, _package: str) -> Callable[..., Any]:
        """Return the macro `default__<name>` of the project."""
        macro: Callable[..., Any] = context.resolve(f"default__{name}")
        return macro


class _Config:
    """A model's configuration: set to no effect, read as its default."""

    def __call__(self, **_settings: Any) -> str:
        return ""

    @staticmethod
    def get(_name: str, default: Any = None) -> Any:
        """Return the default."""
        return default


class _Target:
    """The warehouse that is linted for."""

    type = "duckdb"
    schema = "main"


adapter = _Adapter()
config = _Config()
target = _Target()
