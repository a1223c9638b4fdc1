"""The tutorial, walked: its service tells a collector what customers said, and the net promoter score moves.

Its commands are taken from the page. Collector and service are processes, as there; of the graph only what the score is
made from is built.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
import httpx
import orjson
import pytest
from click.testing import CliRunner

from analytics_platform.cli import main
from analytics_platform.definitions import build_definitions
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.manifest import ensure_manifest
from analytics_platform.defs.partitions import Rectangle, range_tags
from analytics_platform.defs.resources import store_from
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.settings import PROJECT_ROOT, Settings, child_environment, temporary_environment

pytestmark = pytest.mark.integration

PAGE = (PROJECT_ROOT / "docs/tutorial.md").read_text()
TENANT, SCORE = "rivierenland", dg.AssetKey(["kpi", "customer_success", "kpi_nps"])
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]


def said(beginning: str) -> list[str]:
    """The commands of the page that begin so, each as its words."""
    return [shlex.split(line) for line in COMMANDS if line.startswith(beginning)]


def analytics(*words: str) -> str:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return done.output


@contextmanager
def process(words: list[str], address: re.Pattern[str], **environment: str) -> Iterator[str]:
    """A program of the page on a free port, until its end as Ctrl-C ends it; gives the address that it tells."""
    started = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=PROJECT_ROOT,
        env=child_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert started.stdout is not None
    try:
        told = next(found for line in started.stdout if (found := address.search(line)))
        yield told.group()
    finally:
        started.send_signal(signal.SIGINT)
        started.communicate(timeout=30)


@dataclass
class Tutorial:
    """The deployment with its two processes, and what a reader does with them."""

    settings: Settings
    service: str
    definitions: dg.Definitions

    def answer(self, body: str) -> httpx.Response:
        return httpx.post(f"{self.service}/answers", content=body, headers={"content-type": "application/json"})

    def build(self, landed: int) -> list[dict[str, Any]]:
        """Wait until so many answers have been shipped, and build the score."""
        deadline = time.monotonic() + 30
        while (there := self.landed()) < landed and time.monotonic() < deadline:
            time.sleep(0.1)
        assert there == landed
        (day,) = {day for day, _ in landed_partitions(store_from(self.settings))}
        with open_instance(self.settings) as instance:
            instance.add_dynamic_partitions("tenant", [TENANT])
            self._run(instance, "score_raw", Rectangle(day, day, (TENANT,)).tags)
            self._run(instance, "score", range_tags(str(day), str(day)))
        (query,) = {words[2] for words in said("analytics sql") if "kpi_nps" in words[2]}
        return list(orjson.loads(analytics("sql", query, "--format", "json")))

    def landed(self) -> int:
        store = store_from(self.settings)
        objects = [store.get(each.key) for each in store.list("landing/")]
        return sum(b'"nps.submitted"' in line for each in objects for line in lines_of(each))

    def _run(self, instance: dg.DagsterInstance, job: str, tags: dict[str, str]) -> None:
        made = self.definitions.resolve_job_def(job)
        assert made.execute_in_process(instance=instance, tags=tags).success


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    home = tmp_path_factory.mktemp("tutorial") / "home"
    with ExitStack() as stack:
        stack.enter_context(temporary_environment({"ANALYTICS_HOME": str(home)}))
        (init,), (create,) = said("analytics init"), said("analytics keys create")
        analytics(*[str(home) if word == "/tmp/tutorial" else word for word in init[1:]])
        key = orjson.loads(analytics(*create[1:], "--json"))["write_key"]
        settings = Settings.from_environment()
        ensure_manifest(settings)
        (collector,), (service,) = said("analytics collector"), said("uvicorn")
        address = re.compile(r"http://127\.0\.0\.1:\d+")
        shipped_soon = {"ANALYTICS_COLLECTOR_SEGMENT_SECONDS": "0.2"}
        words = ["analytics_platform.cli", "collector", *on_a_free_port(collector[2:])]
        url = stack.enter_context(process(words, address, **shipped_soon))
        words = ["uvicorn", *on_a_free_port(service[1:])]
        yield Tutorial(
            settings,
            stack.enter_context(process(words, address, COLLECTOR=url, WRITE_KEY=key)),
            with_jobs_of_the_score(build_definitions(settings)),
        )


def with_jobs_of_the_score(definitions: dg.Definitions) -> dg.Definitions:
    """The graph with what the score is made from as jobs: without checks, which have tests of their own."""
    needed = dg.AssetSelection.assets(SCORE).upstream().without_checks()
    raw = needed & dg.AssetSelection.key_prefixes("raw")
    rest = needed - raw - dg.AssetSelection.key_prefixes("landing")
    made = [dg.define_asset_job("score_raw", raw), dg.define_asset_job("score", rest)]
    return dg.Definitions.merge(definitions, dg.Definitions(jobs=made))


def on_a_free_port(words: list[str]) -> list[str]:
    return [*words[: words.index("--port") + 1], "0"]


def test_each_answer_moves_the_score(tutorial: Tutorial) -> None:
    bodies = [words[-1] for words in said("curl -s 127.0.0.1:8011/answers")]
    figures = []
    for number, body in enumerate(bodies[:2], start=1):
        assert tutorial.answer(body).status_code == 201
        ((row),) = tutorial.build(landed=number)
        figures.append(row["nps"])
    assert figures == [100.0, 0.0]
    for figure in figures:
        assert f"│ {figure}" in PAGE


@pytest.mark.parametrize("body", ['{"customer": "Ann Jansen", "score": 9}', '{"customer": "c-9", "score": 11}'])
def test_what_is_no_pseudonym_or_no_score_is_refused_by_the_service(tutorial: Tutorial, body: str) -> None:
    assert tutorial.answer(body).status_code == 422
