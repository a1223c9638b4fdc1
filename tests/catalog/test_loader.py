"""What loading promises whatever stands in the files: a frozen catalogue, or a CatalogError and nothing else."""

import copy
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalog_copy import SHIPPED, CatalogCopy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics_platform.catalog import Catalog, CatalogError, Problem, load_catalog
from analytics_platform.catalog.yaml_file import read_yaml

FILES = sorted(str(path.relative_to(SHIPPED)) for path in SHIPPED.rglob("*.yaml"))
PARSED = {file: read_yaml(SHIPPED / file, file) for file in FILES}

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.lists(st.text(max_size=3), min_size=1, max_size=2),
    st.dictionaries(st.one_of(st.text(max_size=3), st.integers(), st.none()), st.text(max_size=3), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in below for place in places(child, (*path, key)))]


def put(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    document = copy.deepcopy(document)
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    return document


def problems_of(load: Callable[[], object]) -> tuple[Problem, ...]:
    """What a load that may only fail with a CatalogError says."""
    try:
        load()
    except CatalogError as error:
        return error.problems
    return ()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_junk_in_any_place_loads_or_is_told_as_a_problem(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(FILES))
    place = data.draw(st.sampled_from(places(PARSED[file])))
    with tempfile.TemporaryDirectory() as folder:
        broken = CatalogCopy.below(Path(folder))
        text = yaml.dump(put(PARSED[file], place, data.draw(junk)), Dumper=yaml.CSafeDumper, sort_keys=False)
        (broken.root / file).write_text(text, encoding="utf-8")
        problems = problems_of(broken.load)
    assert all(problem.field and problem.what and problem.mend for problem in problems)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_yaml_or_a_problem(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.yaml"
        path.write_bytes(content)
        problems = problems_of(lambda: read_yaml(path, "any.yaml"))
    assert all(problem.file == "any.yaml" for problem in problems)


def test_the_catalogue_cannot_be_changed(catalog: Catalog) -> None:
    with pytest.raises(ValidationError):
        catalog.kpis["nps"].target = 50  # type: ignore[misc]


def test_two_loads_are_equal(catalog: Catalog) -> None:
    assert load_catalog() == catalog


def test_importing_reads_no_declaration() -> None:
    program = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import analytics_platform.catalog, analytics_platform.tracking.plan
raise SystemExit([path for path in opened if path.endswith(".yaml")] or 0)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("true", True),
        ("17:30", "17:30"),
        ("2026-12-25", "2026-12-25"),
        ("1_000", "1_000"),
        ("012", "012"),
        ("12", 12),
        ("-1", -1),
        ("1.5", 1.5),
        (".inf", ".inf"),
        ("null", None),
        ("~", None),
    ],
)
def test_words_are_text_unless_they_are_plainly_something_else(tmp_path: Path, written: str, read: object) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(f"word: {written}\n")

    assert read_yaml(path, "words.yaml") == {"word": read}


@pytest.mark.parametrize("text", ["a: 1\nb: {c: 1, c: 2}\n", "a: 1\nb:\n  - c: 1\n    c: 2\n", "b: 1\nc: 2\n'c': 3\n"])
def test_a_key_written_twice_is_refused_at_any_depth(tmp_path: Path, text: str) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text)

    with pytest.raises(CatalogError, match=r"^twice\.yaml: c: is written twice, again in line [234]; keep one"):
        read_yaml(path, "twice.yaml")


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.getcwd []", "a: *missing", "? [a]\n: b\n? {c: d}\n: e", "a: 1\n---\nb: 2"]
)
def test_what_is_no_plain_document_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)

    with pytest.raises(CatalogError, match=r"^odd\.yaml: \(whole file\): is not YAML"):
        read_yaml(path, "odd.yaml")
