"""The OpenAPI is true: whatever schemathesis makes of it, no answer is a fault or one that it does not name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from http_house import BROWSER, SERVER, House, basic, house_catalog, running_house
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from analytics_platform.intake.collector.requests import BATCH_PATHS, CALL_PATHS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TRACKING = [f"/v1/{name}" for name in (*BATCH_PATHS, *CALL_PATHS, "webhook")]
OPERATIONS = [("POST", path) for path in TRACKING] + [("GET", path) for path in ("/healthz", "/readyz", "/metrics")]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("openapi")
    with running_house(folder, house_catalog(folder)) as found:
        yield found


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_one_that_the_openapi_names(house: House, method: str, path: str) -> None:
    """Most requests come with a valid key, so that they get beyond authentication."""
    api = schemathesis.openapi.from_asgi("/openapi.json", house.client.app)

    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api[path][method].as_strategy(), key=st.sampled_from([None, SERVER, BROWSER]))
    def answers_as_documented(case: Case, key: str | None) -> None:
        headers = None if key is None else {"Authorization": basic(f"{key}:")}
        case.call_and_validate(headers=headers, checks=CHECKS)

    answers_as_documented()


def test_the_openapi_names_every_path(house: House) -> None:
    answer = house.client.get("/openapi.json").json()

    assert set(answer["paths"]) == {path for _, path in OPERATIONS}
