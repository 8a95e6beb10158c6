"""The route of the stream of what happens."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from dynamo.api.access.roles import VIEWER
from dynamo.api.auth import Doorkeeper, Reader
from dynamo.api.documented import failures
from dynamo.api.live.hub import Hub
from dynamo.api.problems import Refusal
from dynamo.errors import RetryableError
from dynamo.store.stream import place_in

router = APIRouter(prefix="/v1", tags=["now"])
#: How long a viewer is known without another look, in seconds.
KNOWN_S = 60.0


@router.get(
    "/stream",
    summary="Stream of what happens",
    responses={
        200: {
            "description": "Server-sent events. The data of each has `id`, `at`, `kind` (`run`, `product`, `arrival`, "
            "`problem`, `alert`, `fleet`, `worker`, `decision`), `subject` and `data`; those of runs also have `item`, "
            "the run as `GET /v1/runs` shows it. The first one has the event name `ready`, or `reset` if some that the "
            "client has not seen are gone.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **failures(),
    },
)
async def stream(
    request: Request,
    caller: Reader,
    last_event_id: Annotated[str | None, Header(max_length=60, description="Id of the last event seen.")] = None,
) -> Response:
    """Tell each thing that happens once, in order, as it happens, or from the last event seen on. Scope `read`.

    The connection ends after some minutes: connect again with `Last-Event-ID`, as browsers do by themselves.
    """
    asked = place_in(last_event_id) if last_event_id else None
    hub: Hub = request.app.state.hub
    events = _while_known(request, hub.watch(asked))
    return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _while_known(request: Request, events: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Pass events on until the viewer is logged out, or may look no more."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    known_at = time.monotonic()
    async with aclosing(events):
        async for event in events:
            if time.monotonic() - known_at >= KNOWN_S:
                known_at = time.monotonic()
                if not await run_in_threadpool(_may_look, keeper, request):
                    return
            yield event


def _may_look(keeper: Doorkeeper, request: Request) -> bool:
    try:
        caller = keeper.identify(request)
    except RetryableError:
        # The stream itself waits for the store, too.
        return True
    except Refusal:
        return False
    return caller is not None and caller.may(VIEWER)
