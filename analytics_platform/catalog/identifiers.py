"""Direct identifiers as they are declared: under which names they come, and which patterns find them elsewhere.

How a message is split by this is the gate's business (`intake.identifiers`).
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, matching, wrong
from analytics_platform.catalog.values import Name

IdentifierKind = Literal["account", "email", "id", "ip", "name", "phone", "text"]
TraitName = Annotated[str, matching(r"[A-Za-z][A-Za-z0-9_]{0,62}", "write the name as clients send it")]
ContextPath = Annotated[
    str, matching(r"[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)*", "write names joined by dots, such as device.id")
]


class DirectIdentifiers(Declared):
    """What is split off at the gate.

    ``traits`` has names by kind, ``kept_traits`` those that stay; any other text of traits is split off. ``context``
    has kinds by path, ``patterns`` kinds by the pattern's name. Under ``versions`` no IP address is sought.
    """

    traits: Mapping[IdentifierKind, Listed[TraitName]]
    kept_traits: Listed[TraitName]
    context: Mapping[ContextPath, IdentifierKind]
    patterns: Mapping[Name, IdentifierKind] = Constrained(min_length=1)
    versions: Listed[TraitName]

    @model_validator(mode="after")
    def _one_name_is_one_thing(self) -> "DirectIdentifiers":
        names = [*self.kept_traits, *(name for each in self.traits.values() for name in each)]
        plain = [plain_name(name) for name in names]
        twice = [name for name in names if plain.count(plain_name(name)) > 1]
        if twice:
            raise wrong(f"{', '.join(sorted(twice))} are said twice", "keep one of them", field="traits")
        return self


def plain_name(name: str) -> str:
    """The name as it is compared: firstName, first_name and FIRSTNAME are one."""
    return name.replace("_", "").replace("-", "").replace(" ", "").casefold()
