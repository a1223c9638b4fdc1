"""The catalogue's folder as declarations: files by name, keys that stand for names, problems told together.

Knows the shape that all files share (mappings by name); which file holds what is in
:mod:`~analytics_platform.catalog.loader`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from analytics_platform.catalog.errors import CatalogError, Problem, wrong_in
from analytics_platform.catalog.validation import Problems, join, validate
from analytics_platform.catalog.yaml_file import read_yaml

Model = TypeVar("Model", bound=BaseModel)

ADDITIONS = "additions.yaml"
"""The file by which an extension lengthens lists of what the platform declares."""

GROWING = {
    "access_roles": "datasets",
    "dashboards": "kpis",
    "processing_activities": "datasets",
    "vocabularies": "values",
}
"""The files whose declarations may grow so, with the key of the list."""


class Folder:
    """A folder of YAML files; what is wrong in one does not hide what is wrong in the next.

    Args:
        root: where the files are.
        extension: a second folder of the same layout, whose declarations are added and never take another's place.
    """

    def __init__(self, root: Path, extension: Path | None = None) -> None:
        self.root = root
        self.extension = extension.resolve() if extension is not None else None
        self.problems = Problems()

    def read(self, file: str) -> dict[str, Any]:
        """Read a file that holds a mapping; one of the extension goes by its whole path. Raises CatalogError."""
        return as_mapping(read_yaml(self.root / file, file), file, "")

    def registry(
        self, file: str, model: type[Model], *named_lists: Sequence[str], grows_by: str | None = None
    ) -> dict[str, Model]:
        """Read a file of declarations by name, and the extension's file of that name.

        Args:
            file: its name.
            model: what each declaration is.
            named_lists: paths of keys below that go by name as well.
            grows_by: the key whose list an extension may lengthen where the declaration is another's.
        """
        loaded: dict[str, Model] = {}
        with self.problems.gathered():
            for name, body in self.read(file).items():
                self._load(loaded, name, self._grown(file, name, body, grows_by), file, model, named_lists)
        if (added := self.added(file)) is not None:
            with self.problems.gathered():
                for name, body in self.read(added).items():
                    with self.problems.gathered():
                        if name in loaded:
                            raise clash(added, name, f"in {self.root / file}")
                        self._load(loaded, name, body, added, model, named_lists)
        return loaded

    def _load(
        self,
        loaded: dict[str, Model],
        name: str,
        body: Any,
        file: str,
        model: type[Model],
        named_lists: Sequence[Sequence[str]],
    ) -> None:
        with self.problems.gathered():
            entry = named(name, body, file, name)
            for path in named_lists:
                entry = lists_by_name(entry, file, name, path)
            loaded[name] = validate(model, entry, file, name)

    def _grown(self, file: str, name: str, body: Any, key: str | None) -> Any:
        """A declaration with what the extension adds to its list."""
        more = self.additions.get(Path(file).stem, {}).get(name, {}).get(key, []) if key else []
        return {**body, key: [*body[key], *more]} if key and more else body

    @cached_property
    def additions(self) -> Mapping[str, Mapping[str, Mapping[str, list[Any]]]]:
        """What the extension adds to lists of others' declarations: by file, by name, by key."""
        found: dict[str, Mapping[str, Mapping[str, list[Any]]]] = {}
        with self.problems.gathered():
            file = self.added(ADDITIONS)
            for registry, entries in (self.read(file) if file is not None else {}).items():
                with self.problems.gathered():
                    found[registry] = _additions(self, registry, entries, str(file))
        return found

    def document(self, file: str, model: type[Model]) -> Model | None:
        """Read a file that is one declaration; None when it has problems, which are gathered."""
        loaded: list[Model] = []
        with self.problems.gathered():
            loaded.append(validate(model, self.read(file), file))
        return loaded[0] if loaded else None

    def added(self, file: str) -> str | None:
        """The extension's file of that name, if it has one."""
        path = None if self.extension is None else self.extension / file
        return str(path) if path is not None and path.exists() else None

    def files(self, below: str) -> Iterator[str]:
        """The YAML files of a sub-folder in the order of their names, then those of the extension.

        Any other file there is a problem.
        """
        paths = sorted((self.root / below).glob("[!.]*"))
        if not paths:
            self.problems.extend([Problem(f"{below}/", "(whole folder)", "is empty or not there", "put files there")])
        more = sorted((self.extension / below).glob("[!.]*")) if self.extension is not None else []
        for path in [*paths, *more]:
            file = f"{below}/{path.name}" if path in paths else str(path)
            with self.problems.gathered():
                if path.suffix != ".yaml":
                    raise wrong_in(file, "", "is not read", "give it the suffix .yaml or move it away")
                yield file

    def at_home(self, problem: Problem) -> Problem:
        """A problem between declarations with the file that mends it: what the platform declares agrees by itself."""
        if self.extension is None or Path(problem.file).is_absolute():
            return problem
        registry, key = Path(problem.file).stem, GROWING.get(Path(problem.file).stem)
        grown = [name for name in self.additions.get(registry, {}) if problem.field == f"{name}.{key}"]
        if grown:
            return replace(problem, file=str(self.extension / ADDITIONS), field=f"{registry}.{problem.field}")
        return replace(problem, file=str(self.extension / problem.file))

    def refuse_unread(self, known: Sequence[str]) -> None:
        """Gather a problem for each file of the extension that nobody reads.

        Args:
            known: files, and folders with a slash at their end.
        """
        root = self.extension
        for path in sorted(root.rglob("*")) if root is not None else ():
            file = path.relative_to(str(root)).as_posix()
            is_hidden = file.startswith(".") or "/." in file
            if path.is_file() and not is_hidden and file not in known and f"{file.partition('/')[0]}/" not in known:
                mend = f"remove it or name it as one of {', '.join(known)}"
                self.problems.extend([Problem(str(path), "(whole file)", "is not read", mend)])


def clash(file: str, field: str, other: str) -> CatalogError:
    """The error of a name that an extension takes although it is another's."""
    return wrong_in(file, field, f"is declared {other} too", "write another name: an extension adds and never replaces")


def _additions(folder: Folder, registry: str, entries: Any, file: str) -> Mapping[str, Mapping[str, list[Any]]]:
    """What is added to the declarations of one file, each a list under the one key that may grow."""
    if registry not in GROWING:
        raise wrong_in(file, registry, "is nothing that grows", f"write one of {', '.join(GROWING)}")
    key, base = GROWING[registry], folder.read(f"{registry}.yaml")
    for name, body in as_mapping(entries, file, registry).items():
        at = f"{registry}.{name}"
        if name not in base:
            mend = f"write one of {', '.join(base)}; what is new is declared in {registry}.yaml"
            raise wrong_in(file, at, "is not declared by the platform", mend)
        if list(as_mapping(body, file, at)) != [key] or not isinstance(body[key], list):
            raise wrong_in(file, at, f"may hold {key} alone", f"write {key}: [a, b]")
    return dict(entries)


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
