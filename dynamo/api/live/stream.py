"""The route of the stream of what happens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from dynamo.api.auth import Reader
from dynamo.api.documented import failures
from dynamo.api.live.hub import Hub
from dynamo.store.stream import place_in

router = APIRouter(prefix="/v1", tags=["now"])


@router.get(
    "/stream",
    summary="Stream of what happens",
    responses={
        200: {
            "description": "Server-sent events. The data of each has `id`, `at`, `kind` (`run`, `product`, `arrival`, "
            "`problem`, `alert`, `fleet`, `worker`, `decision`), `subject` and `data`. The first one has the event "
            "name `ready`, or `reset` if some that the client has not seen are gone.",
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
    return StreamingResponse(hub.watch(asked), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
