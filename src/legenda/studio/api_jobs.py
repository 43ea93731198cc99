"""Jobs for programs and pages: how far one is, as a stream, and how to call it off."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from legenda.studio.answers import PROBLEMS, TOKEN, WORK, Begun, News
from legenda.studio.state import Studio

Job = Annotated[str, Path(max_length=64, pattern="^[0-9a-f]+$")]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "News, until it is over"}
}


def routes(studio: Studio) -> APIRouter:
    """`/api/jobs`."""
    router, jobs = APIRouter(prefix="/api/jobs", tags=["jobs"]), studio.jobs

    @router.get("/{number}", response_model=News, responses=PROBLEMS)
    async def job(number: Job) -> Any:
        """What is new of a job."""
        return jobs.find(number).news[2]

    @router.get("/{number}/events", response_class=StreamingResponse, responses=PROBLEMS | STREAM)
    async def events(number: Job) -> StreamingResponse:
        """The same as it comes: server-sent events."""
        jobs.find(number)  # where there is none, say so before the stream begins
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(jobs.follow(number), media_type="text/event-stream", headers=headers)  # fmt: skip # noqa: E501

    @router.delete("/{number}", response_model=Begun, responses=WORK, dependencies=[TOKEN])
    async def cancel(number: Job) -> Any:
        """Call a job off; it stops at its next sign of progress."""
        found = jobs.cancel(number)
        return {"job": found.number, "state": found.state}

    return router
