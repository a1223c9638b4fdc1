"""The suites as files: one YAML file per dataset, in Great Expectations' own serialised form.

Belongs here: reading the files and saying what is wrong with one. Stays out: what can be derived from a declaration
(`declared`), and judging (`engine`). A file holds what only people can know of a dataset: what a row is, and which
relations hold between its numbers, each with a sentence that says why.

Great Expectations leaves `meta` to its users. Ours says what a row is (`grain`), which columns may be empty
(`may_be_null`; all others may not), and names sums and differences of columns (`derived_columns`), so that a relation
between many columns is one between two. Only expectations about single rows are taken: each of their results belongs
to a day, so that a bad day is told from a good one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field as Constrained

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.currencies import ISO_4217_CODES
from analytics_platform.catalog.declared import Declared, Listed, matching
from analytics_platform.catalog.errors import Problem, wrong_in
from analytics_platform.catalog.governance import DatasetName
from analytics_platform.catalog.validation import Problems, validate
from analytics_platform.catalog.values import Name, Text
from analytics_platform.catalog.yaml_file import read_yaml

SUITES = Path(__file__).parent / "suites"

COLUMNS_OF: Mapping[str, tuple[str, ...]] = {
    "expect_column_values_to_be_between": ("column",),
    "expect_column_values_to_be_in_set": ("column",),
    "expect_column_values_to_match_regex": ("column",),
    "expect_column_values_to_not_be_null": ("column",),
    "expect_column_pair_values_to_be_equal": ("column_A", "column_B"),
    "expect_column_pair_values_a_to_be_greater_than_b": ("column_A", "column_B"),
}
"""Types of expectations that a file may use, with the arguments that name columns."""

_PARAMETER = "$PARAMETER"
_ARITHMETIC = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Add, ast.Sub, ast.Mult, ast.USub, ast.Name, ast.Load)

ExpectationType = Annotated[
    str, matching("|".join(COLUMNS_OF), f"write one of {', '.join(COLUMNS_OF)}: a bad row of theirs belongs to a day")
]


class Expectation(Declared):
    """One expectation of a file.

    Attributes:
        id: the fact that holds, in snake case.
        type: Great Expectations' name.
        kwargs: its arguments; a set may be `{$PARAMETER: <name>}`, one of `parameters`.
        notes: why it must hold, in a reviewer's words.
    """

    id: Name
    type: ExpectationType
    kwargs: Mapping[str, Any]
    notes: Text


class ConditionColumn(Declared):
    """The column of a row condition, as Great Expectations writes it."""

    name: Name


class RowCondition(Declared):
    """Which rows an expectation is about: those of one comparison, or those with or without a value."""

    type: Literal["comparison", "nullity"]
    column: ConditionColumn
    operator: Literal["==", "!=", ">", ">=", "<", "<="] | None = None
    parameter: str | int | None = None
    is_null: bool | None = None


class SuiteMeta(Declared):
    """What Great Expectations has no word for; see the module.

    Attributes:
        grain: the columns of which no two rows have the same values.
        may_be_null: the columns that may be empty.
        derived_columns: sums, differences and multiples of columns, by the name that expectations use.
    """

    grain: Listed[Name] = Constrained(min_length=2)
    may_be_null: Listed[Name] = ()
    derived_columns: Mapping[Name, Text] = Constrained(default_factory=dict)


class Suite(Declared):
    """The file of one dataset; its notes say what a reader relies on."""

    name: DatasetName
    notes: Text
    meta: SuiteMeta
    expectations: Listed[Expectation] = Constrained(min_length=1)


class MoreOfASuite(Declared):
    """An extension's file for a dataset that has a suite of the platform's: expectations that are added to it."""

    name: DatasetName
    derived_columns: Mapping[Name, Text] = Constrained(default_factory=dict)
    expectations: Listed[Expectation] = Constrained(min_length=1)


def load_suites(
    catalog: Catalog, columns: Mapping[str, frozenset[str]], folder: Path = SUITES, extension: Path | None = None
) -> dict[str, Suite]:
    """The suites by dataset, parameters filled in.

    Args:
        catalog: gives the parameters.
        columns: the column names of each dataset that must have a suite.
        folder: where the files are.
        extension: where a deployment's own are: of further datasets, or with more expectations of the platform's.

    Raises:
        CatalogError: naming each file that is broken, missing, or speaks of a dataset or a column that is not there.
    """
    problems, suites = Problems(), {}
    for path in sorted(folder.glob("*.yaml")):
        with problems.gathered():
            suite = validate(Suite, read_yaml(path, path.name), path.name)
            problems.extend(list(_wrong(suite, path.name, columns, parameters(catalog))))
            suites[suite.name] = suite
    for path in sorted(extension.glob("*.yaml")) if extension is not None else ():
        with problems.gathered():
            suite = _of_extension(path, suites)
            problems.extend(list(_wrong(suite, str(path), columns, parameters(catalog))))
            suites[suite.name] = suite
    homes = [each for each in (folder, extension) if each is not None]
    missing = sorted(columns.keys() - {path.stem for home in homes for path in home.glob("*.yaml")})
    at = "" if extension is None else f"{extension}/"
    problems.extend(
        [Problem(f"{at}{name}.yaml", "(whole file)", "is missing", "write the dataset's suite") for name in missing]
    )
    problems.raise_if_any()
    return {name: _filled(suite, parameters(catalog)) for name, suite in suites.items()}


def _of_extension(path: Path, known: Mapping[str, Suite]) -> Suite:
    """The suite of an extension's file; where the platform has one, that with the file's expectations besides."""
    declared = read_yaml(path, str(path))
    suite = known.get(path.stem)
    if suite is None:
        return validate(Suite, declared, str(path))
    more, formulas = validate(MoreOfASuite, declared, str(path)), suite.meta.derived_columns
    for name in more.derived_columns.keys() & formulas.keys():
        mend = "write another name: an extension adds and never replaces"
        raise wrong_in(str(path), f"derived_columns.{name}", f"is declared in {path.name} of the platform too", mend)
    meta = suite.meta.model_copy(update={"derived_columns": {**formulas, **more.derived_columns}})
    every = (*suite.expectations, *more.expectations)
    return suite.model_copy(update={"name": more.name, "meta": meta, "expectations": every})


def parameters(catalog: Catalog) -> dict[str, list[str]]:
    """The sets that a file may name instead of writing them out, since the catalogue has them."""
    channels = list(catalog.vocabularies["channel"].values)
    return {
        "channels": channels,
        "channels_or_unattributed": [*channels, "unattributed"],
        "currencies": sorted(ISO_4217_CODES),
        "kpis": sorted(catalog.kpis),
    }


def formula_columns(formula: str) -> set[str]:
    """The columns that a derived column is made of.

    Raises:
        ValueError: it is something else than sums, differences and multiples of columns.
    """
    try:
        nodes = list(ast.walk(ast.parse(formula, mode="eval")))
    except SyntaxError as error:
        raise ValueError(f"{formula!r} is no formula") from error
    for node in nodes:
        is_number = isinstance(node, ast.Constant) and isinstance(node.value, int)
        if not is_number and not isinstance(node, _ARITHMETIC):
            raise ValueError(f"{formula!r} is more than sums, differences and multiples of columns")
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def columns_named(expectation: Expectation) -> list[str]:
    """The columns that an expectation speaks of, those of its row condition included."""
    named = [str(expectation.kwargs.get(argument, "")) for argument in COLUMNS_OF[expectation.type]]
    condition = expectation.kwargs.get("row_condition")
    return named + ([RowCondition.model_validate(condition).column.name] if condition else [])


def _wrong(
    suite: Suite, file: str, columns: Mapping[str, frozenset[str]], known: Mapping[str, list[str]]
) -> Iterator[Problem]:
    if suite.name not in columns:
        yield Problem(
            file, "name", f"{suite.name!r} is no KPI table and no extract", "remove the file or mend the name"
        )
        return
    if Path(file).name != f"{suite.name}.yaml":
        yield Problem(file, "name", f"is {suite.name!r}, which is not the file's", f"call the file {suite.name}.yaml")
    yield from _wrong_meta(suite, file, columns[suite.name])
    seen: set[str] = set()
    for each in suite.expectations:
        at = f"expectations[{each.id}]"
        if each.id in seen:
            yield Problem(file, f"{at}.id", "is used twice", "give each expectation a name of its own")
        seen.add(each.id)
        condition = each.kwargs.get("row_condition")
        if condition:
            validate(RowCondition, condition, file, f"{at}.kwargs.row_condition")
        unknown = sorted(set(columns_named(each)) - columns[suite.name] - suite.meta.derived_columns.keys())
        if unknown:
            what = f"names {', '.join(map(repr, unknown))}, which {suite.name} does not have"
            yield Problem(file, f"{at}.kwargs", what, "name a column of the dataset or one of derived_columns")
        yield from _wrong_kwargs(each, file, at, known)


def _wrong_meta(suite: Suite, file: str, columns: frozenset[str]) -> Iterator[Problem]:
    for field, names in (("grain", suite.meta.grain), ("may_be_null", suite.meta.may_be_null)):
        unknown = sorted(set(names) - columns)
        if unknown:
            what = f"names {', '.join(unknown)}, which {suite.name} does not have"
            yield Problem(file, f"meta.{field}", what, "name columns of the dataset")
    for name, formula in suite.meta.derived_columns.items():
        at = f"meta.derived_columns.{name}"
        try:
            unknown = sorted(formula_columns(formula) - columns)
        except ValueError as error:
            yield Problem(file, at, str(error), "write columns joined by +, - and *")
            continue
        if unknown or name in columns:
            what = f"names {', '.join(unknown)}, which the dataset does not have" if unknown else "is a column already"
            yield Problem(file, at, what, "derive a new name from columns of the dataset")


def _wrong_kwargs(each: Expectation, file: str, at: str, known: Mapping[str, list[str]]) -> Iterator[Problem]:
    if "mostly" in each.kwargs:
        what = "lets some rows be wrong, which says nothing of a single day"
        yield Problem(file, f"{at}.kwargs.mostly", what, "leave it out, and name the exceptions by a row_condition")
    if len(COLUMNS_OF[each.type]) == 2 and each.kwargs.get("ignore_row_if") != "either_value_is_missing":
        what = "leaves open what an empty value compares to, and Great Expectations fails on it"
        mend = "write ignore_row_if: either_value_is_missing; may_be_null says which columns may be empty"
        yield Problem(file, f"{at}.kwargs.ignore_row_if", what, mend)
    values = each.kwargs.get("value_set")
    if isinstance(values, Mapping) and values.get(_PARAMETER) not in known:
        yield Problem(file, f"{at}.kwargs.value_set", f"{values} is not known", f"write one of {', '.join(known)}")


def _filled(suite: Suite, known: Mapping[str, list[str]]) -> Suite:
    filled = []
    for each in suite.expectations:
        values = each.kwargs.get("value_set")
        if isinstance(values, Mapping):
            each = each.model_copy(update={"kwargs": {**each.kwargs, "value_set": known[values[_PARAMETER]]}})
        filled.append(each)
    return suite.model_copy(update={"expectations": tuple(filled)})
