"""Reports of jobs, such as those of cron, in the form of healthchecks.io: start, success, failure, exit code.

A report is stored and answered; `dynamo watch` compares the reports with `[[jobs]]` of its configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import update

from dynamo.api.auth import Pinger
from dynamo.api.documented import failures
from dynamo.api.models import JobReported
from dynamo.api.problems import answer
from dynamo.api.service import Served, Service
from dynamo.errors import NotFoundError
from dynamo.store.problems import JobReport
from dynamo.texts import visible
from dynamo.times import utc_now

Kind = Literal["start", "success", "failure"]
#: Characters of a message that are kept: its end, where a failed job says why.
LONGEST_MESSAGE = 500
#: The most bytes that one character has in UTF-8.
_CHARACTER = 4
router = APIRouter(prefix="/ping", tags=["jobs"])


async def _message(request: Request) -> str:
    """Return the end of a request's body as text, whatever its type and length."""
    end = bytearray()
    async for chunk in request.stream():
        end += chunk
        del end[: -LONGEST_MESSAGE * _CHARACTER]
    return visible(end.decode(errors="replace").strip()[-LONGEST_MESSAGE:])


Job = Annotated[str, Path(max_length=100, description="Name of the job in `[[jobs]]`.")]
# After the caller in each route: nobody is read from without a token.
Message = Annotated[str, Depends(_message)]
Route = Callable[..., Response]


def _served_at(path: str, summary: str) -> Callable[[Route], Route]:
    """Serve a route for each method that clients of healthchecks.io use."""
    answers = {200: {"model": JobReported}, **failures(404)}
    text = {"schema": {"type": "string"}, "example": "disk full"}
    body = {"requestBody": {"required": False, "content": {"text/plain": text}}}

    def serve(route: Route) -> Route:
        router.get(path, summary=summary, responses=answers, name=f"get_{route.__name__}")(route)
        router.post(path, summary=summary, responses=answers, openapi_extra=body)(route)
        router.head(path, include_in_schema=False)(route)
        return route

    return serve


@_served_at("/{name}", "A job succeeded")
def ping(service: Served, caller: Pinger, name: Job, message: Message) -> Response:
    """Store that a job succeeded, with the end of the body as its message. Scope `ping`."""
    return _store(service, name, "success", message)


@_served_at("/{name}/start", "A job begins")
def ping_start(service: Served, caller: Pinger, name: Job) -> Response:
    """Store that a job begins: if it does not end within its grace time, that is a problem. Scope `ping`."""
    return _store(service, name, "start", "")


@_served_at("/{name}/fail", "A job failed")
def ping_fail(service: Served, caller: Pinger, name: Job, message: Message) -> Response:
    """Store that a job failed, with the end of the body as its message. Scope `ping`."""
    return _store(service, name, "failure", message)


@_served_at("/{name}/{code}", "A job ended with an exit code")
def ping_code(
    service: Served, caller: Pinger, name: Job, code: Annotated[int, Path(ge=0, le=255)], message: Message
) -> Response:
    """Store that a job ended: 0 is a success, anything else a failure. Scope `ping`."""
    if code == 0:
        return _store(service, name, "success", message)
    return _store(service, name, "failure", f"{message} (exit code {code})" if message else f"exit code {code}")


def _store(service: Service, name: str, kind: Kind, message: str) -> Response:
    now = utc_now()
    # Each report says by itself how the job stands: no clock decides which one came last.
    reports: dict[Kind, dict[str, Any]] = {
        "start": {"started_at": now},
        "success": {"started_at": None, "succeeded_at": now, "failed_at": None, "message": message},
        "failure": {"started_at": None, "failed_at": now, "message": message},
    }
    with service.store.transaction() as session:
        stored = session.execute(
            update(JobReport).where(JobReport.name == name).values(reports[kind]).returning(JobReport.name)
        ).first()
    if stored is None:
        raise NotFoundError(
            f"no job {name!r:.60}",
            expected="a job of [[jobs]] in dynamo.toml",
            hint="dynamo watch expects those that its configuration had when it started",
        )
    return answer({"job": name, "report": kind})
