"""Whether a target is met: told alike by pages and the weekly report, and never against the figure beside it."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pytest

from analytics_platform import reporting
from analytics_platform.catalog import Kpi, load_catalog
from analytics_platform.reporting.periods import week_of
from analytics_platform.reporting.weekly_figures import KpiWeek

SCRIPTS = Path(reporting.__file__).parent / "templates" / "scripts"
BY_UNIT = {kpi.unit: kpi for kpi in load_catalog().kpis.values()}
CURRENCY = {"money_minor": "EUR"}

Unit = Literal["money_minor", "percent", "score", "minutes", "count"]
UNITS: tuple[Unit, ...] = ("money_minor", "percent", "score", "minutes", "count")

IN_NODE = """
const { sources, examples } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const judge = new Function(`${sources}; return (of, value, target) => meets(of, value, target);`)();
process.stdout.write(JSON.stringify(examples.map(({ of, value, target }) => judge(of, value, target))));
"""


@dataclass(frozen=True)
class Example:
    """A figure beside its target."""

    unit: Unit
    direction: Literal["up", "down"]
    value: float
    target: float

    @property
    def kpi(self) -> Kpi:
        return BY_UNIT[self.unit].model_copy(update={"direction": self.direction})

    @property
    def currency(self) -> str | None:
        return CURRENCY.get(self.unit)


EXAMPLES = [
    (Example("percent", "up", 94.96, 95), True),
    (Example("percent", "up", 94.95, 95), True),
    (Example("percent", "up", 94.94, 95), False),
    (Example("percent", "down", 5.04, 5), True),
    (Example("percent", "down", 5.05, 5), False),
    (Example("percent", "up", 95, 95.04), True),
    (Example("score", "up", 39.95, 40), True),
    (Example("score", "up", -0.25, -0.2), False),
    (Example("score", "up", -0.04, 0), True),
    (Example("minutes", "down", 1440.3, 1440), True),
    (Example("minutes", "down", 1440.5, 1440), False),
    (Example("minutes", "down", 2909.4, 2880), True),
    (Example("minutes", "down", 2910, 2880), False),
    (Example("minutes", "up", 2850, 2880), False),
    (Example("minutes", "up", 2879.5, 2880), True),
    (Example("minutes", "up", 59.4, 60), False),
    (Example("count", "up", 9, 10), False),
    (Example("count", "up", 10, 10), True),
    (Example("money_minor", "up", 99_999_960, 100_000_000), True),
    (Example("money_minor", "up", 99_999_940, 100_000_000), False),
    (Example("money_minor", "up", 99_999, 100_000), False),
]


def near_its_target(seeded: random.Random) -> Example:
    """A figure of which rounding may decide; amounts and counts are whole, as those of all KPIs are."""
    unit = seeded.choice(UNITS)
    target = seeded.choice((0, 5, 40, 95, 95.25, 1440, 2880, 4000, 123_456, 1_000_000))
    value = target + seeded.choice((0.01, 0.05, 0.5, 1, 30, 50)) * seeded.randint(-6, 6)
    if unit in ("money_minor", "count"):
        value, target = round(value), round(target)
    return Example(unit, seeded.choice(("up", "down")), value, target)


def in_the_report(example: Example) -> bool | None:
    """What the weekly report says."""
    shown = KpiWeek(
        kpi=example.kpi, currency=example.currency, week=week_of(date(2026, 6, 22)), days_published=7, is_whole=True,
        value=example.value, previous=None, year_before=None, target=example.target, trend=(), drills=(),
    )  # fmt: skip
    return shown.meets_target


def on_pages(node: str, examples: Sequence[Example]) -> list[bool]:
    """What the script of the pages says."""
    told = {
        "sources": "".join((SCRIPTS / name).read_text(encoding="utf-8") for name in ("words.js", "figures.js")),
        "examples": [
            {
                "of": {"unit": each.unit, "direction": each.direction, "currency": each.currency},
                "value": each.value,
                "target": each.target,
            }
            for each in examples
        ],
    }
    done = subprocess.run([node, "-e", IN_NODE], input=json.dumps(told), capture_output=True, text=True, check=True)
    judged: list[bool] = json.loads(done.stdout)
    return judged


@pytest.mark.parametrize(("example", "is_met"), EXAMPLES)
def test_the_report_judges_a_figure_as_it_is_written(example: Example, is_met: bool) -> None:
    assert in_the_report(example) is is_met


def test_pages_judge_the_same_figures_alike(node: str) -> None:
    examples = [example for example, _ in EXAMPLES]
    assert dict(zip(examples, on_pages(node, examples), strict=True)) == dict(EXAMPLES)


def test_pages_and_the_report_agree_wherever_rounding_decides(node: str) -> None:
    seeded = random.Random(20261128)
    examples = [near_its_target(seeded) for _ in range(2000)]
    differing = [
        example
        for example, on_page in zip(examples, on_pages(node, examples), strict=True)
        if in_the_report(example) is not on_page
    ]
    assert differing == []
