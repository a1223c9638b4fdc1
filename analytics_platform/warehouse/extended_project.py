"""The dbt project of a deployment with an extension: the platform's, the extension's files, and what follows from both.

One project, and not a package beside another: models of an extension refer to ours by `ref` and are configured by
their folder as ours are (schema, contract, days, hooks), keys follow the folders, and nothing is installed, so that it
works without a network and on each warehouse. Groups, exposures, sources and staging models are rendered from the
catalogue with the extension in it.

Belongs here: which files the project has, and writing them. Stays out: running dbt (`defs.dbt_build`) and when the
project is made (`defs.manifest`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from analytics_platform import catalog as catalog_room
from analytics_platform.catalog import Catalog, CatalogError, Problem, Stream
from analytics_platform.warehouse import project_files, staging_models
from analytics_platform.warehouse.project_files import PROJECT_FILES
from analytics_platform.warehouse.staging_models import render_staging

FOLDERS = ("models", "macros", "seeds", "tests")
"""What of an extension's `dbt/` is read, as of the platform's."""

_CONFIGURATION = ("dbt_project.yml", "profiles.yml")
_NAMED = {".sql", ".csv"}
"""Files whose name dbt knows what is in them by, wherever they lie."""

_CATALOG = Path(catalog_room.__file__).parent
_RENDERERS = (Path(project_files.__file__), Path(staging_models.__file__))
_DIGEST = "put_together.sha256"


def put_together(base: Path, extension: Path, catalog: Catalog, target: Path) -> None:
    """Write the whole project into a folder; files that are right already stay as they are, for dbt's partial parse.

    Args:
        base: the platform's project.
        extension: the extension's `dbt/`, which need not be there.
        catalog: with what the extension declares.
        target: where the project goes.

    Raises:
        CatalogError: a file takes another's place, or is nothing that dbt reads.
    """
    files = {**_files(base), **_rendered(base, catalog)}
    files |= _of_extension(extension, files)
    for path in [*target.glob("*"), *(each for folder in FOLDERS for each in (target / folder).rglob("*"))]:
        if path.is_file() and path.relative_to(target).as_posix() not in files:
            path.unlink()
    for name, text in files.items():
        path = target / name
        if not path.is_file() or path.read_bytes() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)


def inputs_digest(base: Path, extension: Path, declared: Path) -> str:
    """What tells that the project has to be put together again: of all files that it is made of.

    Args:
        base: the platform's project.
        extension: the extension's `dbt/`.
        declared: the extension's `catalog/`.
    """
    found = hashlib.sha256()
    folders = (_sources(base), _sources(extension), _CATALOG.rglob("*.yaml"), declared.rglob("*.yaml"), _RENDERERS)
    for paths in folders:
        for path in sorted(paths):
            found.update(f"{path}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def note_digest(target: Path, digest: str) -> None:
    """Keep of what a project was put together, once all that is made of it is made."""
    (target / "target" / _DIGEST).write_text(digest, encoding="utf-8")


def noted_digest(target: Path) -> str | None:
    """Of what it was put together; None where it never was."""
    path = target / "target" / _DIGEST
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _sources(project: Path) -> Iterator[Path]:
    """The files of a project that dbt reads."""
    yield from (project / name for name in _CONFIGURATION if (project / name).is_file())
    for folder in FOLDERS:
        yield from (path for path in (project / folder).rglob("[!.]*") if path.is_file())


def _files(project: Path) -> dict[str, bytes]:
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in _sources(project)}


def _rendered(base: Path, catalog: Catalog) -> dict[str, bytes]:
    """What follows from the catalogue: the platform's own files are such too, without the extension."""
    known = {path.name for path in (base / "models" / "staging").iterdir() if path.is_dir()}
    added = [stream for stream in catalog.streams.values() if stream.name not in known]
    texts = {file.path.removeprefix("dbt/"): file.render(catalog) for file in PROJECT_FILES}
    texts |= {
        f"models/staging/{name}": text
        for name, text in render_staging(catalog, grouped=frozenset(stream.name for stream in added)).items()
    }
    if added:
        texts["models/staging/_sources_of_the_extension.yml"] = _sources_yaml(base, catalog, added)
    return {name: text.encode() for name, text in texts.items()}


def _sources_yaml(base: Path, catalog: Catalog, streams: Iterable[Stream]) -> str:
    """The raw tables of the extension's streams, as the platform describes those of its own."""
    (source,) = yaml.safe_load((base / "models" / "sources.yml").read_text(encoding="utf-8"))["sources"]
    columns = next(table["columns"] for table in source["tables"] if table["name"] in catalog.streams)
    tables = [
        {
            "name": stream.name,
            "description": stream.description,
            "meta": {"owner": stream.owner, "dagster": {"asset_key": ["loaded", stream.name]}},
            "columns": columns,
        }
        for stream in streams
    ]
    document = {"version": 2, "sources": [{"name": source["name"], "schema": source["schema"], "tables": tables}]}
    return yaml.safe_dump(document, sort_keys=False, width=140, allow_unicode=True)


def _of_extension(extension: Path, taken: Mapping[str, bytes]) -> dict[str, bytes]:
    """The extension's files by their place in the project. Raises CatalogError."""
    homes = {Path(name).name: name for name in taken if Path(name).suffix in _NAMED}
    found, problems = {}, []
    for path in sorted(extension.rglob("*")):
        name = path.relative_to(extension).as_posix()
        if not path.is_file() or name.startswith((".", "target/")) or "/." in name:
            continue
        if name.partition("/")[0] not in FOLDERS or "/" not in name:
            mend = f"remove it, or move it below {', '.join(FOLDERS)}; settings of a model stand in its own .yml"
            problems.append(Problem(str(path), "(whole file)", "is not read", mend))
        elif name in taken or (path.suffix in _NAMED and path.name in homes):
            mend = "give it another name: an extension adds and never replaces"
            what = f"takes the place of {homes.get(path.name, name)} of the platform"
            problems.append(Problem(str(path), "(whole file)", what, mend))
        else:
            found[name] = path.read_bytes()
    if problems:
        raise CatalogError(problems)
    return found
