"""Everything that is generated from the catalogue and committed, in one list: which file, and what renders it.

A file that is generated is added to `GENERATED`; then `analytics taxonomy generate` writes it and
`analytics taxonomy check` fails when it is not what the catalogue renders. dbt's staging models belong to the warehouse
and keep their own writer (:mod:`analytics_platform.warehouse.staging_models`); the command line wires both.

Renderers load their tools when they are called, so that importing this list needs none of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analytics_platform.catalog import Catalog
from analytics_platform.tracking import model_files, typescript_files

REPOSITORY = Path(__file__).parents[2]
"""The checkout that the committed files lie in."""


@dataclass(frozen=True)
class Generated:
    """A committed file that the catalogue alone decides.

    ``path`` is relative to the repository, with forward slashes. ``render`` gives the file's whole text, the same for
    the same catalogue on every machine, ending in a newline. ``missing_tool`` says what this machine cannot render it
    without, where that is a tool that the environment does not bring (Node.js); None when all is there.
    """

    path: str
    render: Callable[[Catalog], str]
    missing_tool: Callable[[], str | None] = lambda: None


_STREAMS = ("billing", "inventory", "transport", "marketing", "crm", "support", "product")

GENERATED: tuple[Generated, ...] = (
    Generated(f"{model_files.FOLDER}/__init__.py", model_files.render_index),
    Generated(f"{model_files.FOLDER}/vocabularies.py", model_files.render_vocabularies),
    *(
        Generated(f"{model_files.FOLDER}/{stream}.py", partial(model_files.render_stream, stream_name=stream))
        for stream in _STREAMS
    ),
    Generated(typescript_files.EVENTS_FILE, typescript_files.render_events, typescript_files.missing_tool),
)


def drifted(catalog: Catalog, files: Iterable[Generated] = GENERATED, root: Path = REPOSITORY) -> list[str]:
    """Return the paths of files that are missing or are not what the catalogue renders, of those that can be judged."""
    return [
        file.path
        for file in files
        if file.missing_tool() is None and _committed(root / file.path) != file.render(catalog)
    ]


def unjudged(files: Iterable[Generated] = GENERATED) -> dict[str, str]:
    """Return the paths of files that this machine cannot render, each with what it lacks."""
    return {file.path: missing for file in files if (missing := file.missing_tool()) is not None}


def write(catalog: Catalog, files: Iterable[Generated] = GENERATED, root: Path = REPOSITORY) -> list[str]:
    """Write the files that are not current and return their paths; those that cannot be rendered stay as they are."""
    changed = []
    for file in files:
        if file.missing_tool() is not None:
            continue
        text = file.render(catalog)
        if _committed(root / file.path) != text:
            (root / file.path).parent.mkdir(parents=True, exist_ok=True)
            (root / file.path).write_text(text, encoding="utf-8")
            changed.append(file.path)
    return changed


def _committed(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
