"""The catalogue's folder as declarations: files by name, keys that stand for names, problems told together.

Knows the shape that all files share (mappings by name); which file holds what is in
:mod:`~analytics_platform.catalog.loader`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from analytics_platform.catalog.errors import Problem, wrong_in
from analytics_platform.catalog.validation import Problems, join, validate
from analytics_platform.catalog.yaml_file import read_yaml

Model = TypeVar("Model", bound=BaseModel)


class Folder:
    """A folder of YAML files; what is wrong in one does not hide what is wrong in the next."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems = Problems()

    def read(self, file: str) -> dict[str, Any]:
        """Read a file that holds a mapping. Raises CatalogError."""
        return as_mapping(read_yaml(self.root / file, file), file, "")

    def registry(self, file: str, model: type[Model], *named_lists: Sequence[str]) -> dict[str, Model]:
        """Read a file of declarations by name; ``named_lists`` are paths of keys below that go by name as well."""
        loaded: dict[str, Model] = {}
        with self.problems.gathered():
            for name, body in self.read(file).items():
                with self.problems.gathered():
                    entry = named(name, body, file, name)
                    for path in named_lists:
                        entry = lists_by_name(entry, file, name, path)
                    loaded[name] = validate(model, entry, file, name)
        return loaded

    def document(self, file: str, model: type[Model]) -> Model | None:
        """Read a file that is one declaration; None when it has problems, which are gathered."""
        loaded: list[Model] = []
        with self.problems.gathered():
            loaded.append(validate(model, self.read(file), file))
        return loaded[0] if loaded else None

    def files(self, below: str) -> Iterator[str]:
        """The YAML files of a sub-folder in the order of their names; any other file there is a problem."""
        paths = sorted((self.root / below).glob("[!.]*"))
        if not paths:
            self.problems.extend([Problem(f"{below}/", "(whole folder)", "is empty or not there", "put files there")])
        for path in paths:
            file = f"{below}/{path.name}"
            with self.problems.gathered():
                if path.suffix != ".yaml":
                    raise wrong_in(file, "", "is not read", "give it the suffix .yaml or move it away")
                yield file


def named(name: str, body: Any, file: str, at: str, named_lists: Sequence[str] = ()) -> dict[str, Any]:
    """Put the key of an entry into its body as the name, all the way down the lists that go by name."""
    entry = as_mapping(body, file, at)
    if "name" in entry:
        raise wrong_in(file, join(at, "name"), "is said by the key already", "remove it")
    return {"name": name, **lists_by_name(entry, file, at, named_lists)}


def lists_by_name(entry: dict[str, Any], file: str, at: str, keys: Sequence[str]) -> dict[str, Any]:
    """Turn the mapping under the first of the keys into a list of named entries, and so on within them."""
    if not keys or keys[0] not in entry:
        return entry
    below = join(at, keys[0])
    members = as_mapping(entry[keys[0]], file, below).items()
    return {**entry, keys[0]: [named(name, body, file, f"{below}[{name}]", keys[1:]) for name, body in members]}


def as_mapping(value: Any, file: str, at: str) -> dict[str, Any]:
    """Require a mapping whose keys are text. Raises CatalogError."""
    if not isinstance(value, dict):
        raise wrong_in(file, at, "is not a mapping", "write `key: value` lines")
    for key in value:
        if not isinstance(key, str):
            raise wrong_in(
                file, join(at, str(key)), "is not a name", "write text, between quotes where it looks otherwise"
            )
    return value


def look_up(name: object, shared: Mapping[str, Model], kind: str, file: str, at: str) -> Model:
    """The shared declaration of that name. Raises CatalogError that tells the known names."""
    if not isinstance(name, str) or name not in shared:
        raise wrong_in(file, at, f"{name!r} is not {kind}", f"write one of {', '.join(shared)}")
    return shared[name]


def in_file_of_its_name(declared: Model, key: str, file: str) -> Model:
    """Require that a declaration's name is that of its file, so that a reader finds it."""
    name, stem = getattr(declared, key), Path(file).stem
    if name != stem:
        raise wrong_in(file, key, f"{name!r} stands in a file of another name", f"write {stem}, or rename the file")
    return declared
