"""The collector as one would write it first: FastAPI with typed bodies. What `benchmarks.collector` compares with."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel, ConfigDict, Field, create_model

from analytics_platform.tracking.models import EVENT_MODELS

_BASIC = HTTPBasic()


class Message(BaseModel):
    """A call of Segment's specification; what it nests is free."""

    model_config = ConfigDict(extra="allow")

    type: Literal["track", "identify", "page", "screen", "group", "alias"]
    messageId: str  # noqa: N815
    event: str | None = None
    userId: str | None = None  # noqa: N815
    anonymousId: str | None = None  # noqa: N815
    timestamp: datetime
    context: dict[str, Any] = {}
    integrations: dict[str, Any] = {}
    properties: Any = None
    traits: dict[str, Any] | None = None


class Batch(BaseModel):
    """Segment's batch."""

    batch: list[Message]
    sentAt: datetime  # noqa: N815
    writeKey: str | None = None  # noqa: N815


class Success(BaseModel):
    """Segment's answer."""

    success: bool = True


def loose_app() -> FastAPI:
    """Typed envelope, free properties, nothing kept."""
    app = FastAPI()

    @app.post("/v1/batch")
    async def batch(body: Batch, credentials: Annotated[HTTPBasicCredentials, Depends(_BASIC)]) -> Success:
        assert credentials.username
        assert body.batch
        return Success()

    return app


def planned_app(path: Path) -> FastAPI:
    """Properties typed by the plan, and each request's messages appended to a file and synced."""
    app = FastAPI()
    file = path.open("ab", buffering=0)
    planned: Any = _planned_batch()

    @app.post("/v1/batch")
    def batch(body: planned, credentials: Annotated[HTTPBasicCredentials, Depends(_BASIC)]) -> Success:
        assert credentials.username
        file.write(b"".join(each.model_dump_json().encode() + b"\n" for each in body.batch))
        os.fdatasync(file.fileno())
        return Success()

    return app


def _planned_batch() -> type[BaseModel]:
    """`Batch` whose messages are told apart by their event."""
    messages = tuple(
        create_model(model.__name__ + "Message", __base__=Message, event=(Literal[name], ...), properties=(model, ...))
        for name, model in EVENT_MODELS.items()
    )
    one_of = Annotated[Union[messages], Field(discriminator="event")]  # noqa: UP007 - made from a tuple
    return create_model("PlannedBatch", __base__=Batch, batch=(list[one_of], ...))
