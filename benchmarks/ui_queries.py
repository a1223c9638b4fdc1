"""The GraphQL queries that Dagster's UI sends, read out of the installed web server's own bundle.

The bundle's source maps hold the UI's sources, and in them every query with its fragments; so what is measured is what
a browser would send, also after an upgrade. Belongs here: finding a query by its name. Stays out: which queries a page
sends (`graph`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import dagster_webserver
import graphql

_BUNDLE = Path(dagster_webserver.__file__).parent / "webapp" / "build" / "_next" / "static"
_TEMPLATE = re.compile(r"gql`(.*?)`", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


@cache
def ui_query(name: str) -> str:
    """A query's text with every fragment that it needs, as the UI sends it; the name is one of the UI's."""
    definitions = _definitions()
    needed: dict[str, graphql.DefinitionNode] = {}
    wanted = [name]
    while wanted:
        each = wanted.pop()
        if each not in needed:
            needed[each] = definitions[each]
            wanted += _Spreads.of(definitions[each])
    return "\n".join(graphql.print_ast(graphql.visit(each, _WithTypes())) for each in needed.values())


@cache
def _definitions() -> dict[str, graphql.ExecutableDefinitionNode]:
    return {
        definition.name.value: definition
        for text in _sources()
        for template in _TEMPLATE.findall(text)
        for definition in graphql.parse(_PLACEHOLDER.sub("", template)).definitions
        if isinstance(definition, graphql.ExecutableDefinitionNode) and definition.name
    }


def _sources() -> Iterator[str]:
    for path in sorted(_BUNDLE.rglob("*.js.map")):
        bundled = json.loads(path.read_bytes())
        named = zip(bundled["sources"], bundled.get("sourcesContent") or [], strict=False)
        yield from (text for source, text in named if text and source.endswith((".ts", ".tsx")) and "gql`" in text)


class _Spreads(graphql.Visitor):
    """Names of the fragments that a definition uses."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    @classmethod
    def of(cls, definition: graphql.DefinitionNode) -> list[str]:
        visitor = cls()
        graphql.visit(definition, visitor)
        return visitor.names

    def enter_fragment_spread(self, node: graphql.FragmentSpreadNode, *_: object) -> None:
        self.names.append(node.name.value)


class _WithTypes(graphql.Visitor):
    """Asks for the type of everything but the query itself, as the UI's client (Apollo) does."""

    def leave_selection_set(self, node: graphql.SelectionSetNode, _key: object, parent: object, *_: object) -> Any:
        names = [each.name.value for each in node.selections if isinstance(each, graphql.FieldNode)]
        if isinstance(parent, graphql.OperationDefinitionNode) or "__typename" in names:
            return None
        asked = graphql.FieldNode(name=graphql.NameNode(value="__typename"), arguments=(), directives=())
        return graphql.SelectionSetNode(selections=(*node.selections, asked))
