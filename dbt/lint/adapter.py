"""dbt's `adapter` for sqlfluff's jinja templater: dispatches to the default (DuckDB) variant of a macro.

Belongs here: only what `.sqlfluff` needs to render a model without dbt. dbt never loads this folder.
"""

from collections.abc import Callable
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def dispatch(context: Context, name: str, package: str) -> Callable[..., Any]:
    """Return the macro `default__<name>` of the project."""
    macro: Callable[..., Any] = context.resolve(f"default__{name}")
    return macro
