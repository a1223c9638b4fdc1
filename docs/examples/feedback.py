"""The tutorial's service: it asks customers whether they would recommend us, and tells the platform what they said.

Two environment variables say where to and as whom: `COLLECTOR` (an address) and `WRITE_KEY` (of the tenant).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.middleware import AnalyticsMiddleware, Caller
from analytics_platform.tracking.models import NpsSubmitted

TENANT, SURVEY = "rivierenland", "autumn"

tracker = Tracker(os.environ["COLLECTOR"], {TENANT: os.environ["WRITE_KEY"]}, source="feedback")


class Answer(BaseModel):
    """What a customer says: who (a pseudonym, never a name or an address), and from 0 to 10."""

    customer: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    score: Annotated[int, Field(ge=0, le=10)]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Send what still waits when the service ends."""
    yield
    await run_in_threadpool(tracker.close)


app = FastAPI(title="Feedback", lifespan=lifespan)
app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=lambda _: Caller(TENANT))


@app.post("/answers", status_code=201)
def answer(given: Answer) -> dict[str, str]:
    """Take an answer; a second one of the same customer takes the place of the first."""
    response_id = tracker.emit(
        NpsSubmitted(
            survey_id=SURVEY,
            response_id=f"{SURVEY}-{given.customer}",
            respondent_ref=given.customer,
            score=given.score,
            submitted_at=datetime.now(UTC),
            touchpoint="after_event",
        )
    )
    return {"event": response_id}
