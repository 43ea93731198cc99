"""Live work by address: pictures that are sent, jobs that are begun, a slider that is followed."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from markupsafe import Markup
from pydantic import BaseModel

from legenda.show.links import StudioLinks
from legenda.show.site import environment
from legenda.studio.answers import TOKEN, WORK, Begun
from legenda.studio.jobs import Job, Report
from legenda.studio.live_asked import Explain, Find, Open, Slide, Steer, Write
from legenda.studio.live_concepts import about_concepts, steered
from legenda.studio.live_latents import Beginnings, about_latents, measured, slid
from legenda.studio.live_maps import explained
from legenda.studio.live_page import live_view
from legenda.studio.live_pictures import chosen
from legenda.studio.live_tokens import about_tokens, searched, written
from legenda.studio.pages import whole
from legenda.studio.state import Studio

LINKS = StudioLinks()
PICTURE = {"requestBody": {"required": True, "content": {"application/octet-stream": {
    "schema": {"type": "string", "format": "binary"}}}}}  # fmt: skip
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "It"}}


class Sent(BaseModel):
    """A picture that was taken, and its size as it is held."""

    upload: str
    width: int
    height: int


def routes(studio: Studio) -> APIRouter:
    """`/live` and `/api/live`."""
    router, beginnings = APIRouter(tags=["live"], dependencies=[TOKEN]), Beginnings(studio)

    @router.get("/live", include_in_schema=False)
    async def live() -> Response:
        return await studio.threads.read(shown, studio)

    @router.post(
        "/api/live/pictures", response_model=Sent, responses=WORK, openapi_extra=PICTURE,
        status_code=201,
    )  # fmt: skip
    async def pictures(request: Request) -> Any:
        """Send a picture, as the bytes of its file; it is held in memory for a while."""
        taken = await studio.threads.at_once(studio.uploads.take, await request.body())
        width, height = taken.picture.size
        return Sent(upload=taken.number, width=width, height=height)

    def begun(kind: str, asked: Any, work: Callable[..., Any], *more: Any) -> dict[str, Any]:
        """A job, if its model may be opened and its picture is there."""
        studio.bench.check(asked.model)
        if getattr(asked, "picture", None) is not None:
            chosen(studio, asked.picture)

        def done(report: Report) -> Any:
            return work(studio, *more, asked, report)

        return told(studio.jobs.begin(kind, done))

    def begin(kind: str, asked: Any, work: Callable[..., Any], *more: Any) -> Any:
        return studio.threads.read(begun, kind, asked, work, *more)

    @router.post("/api/live/open", response_model=Begun, status_code=202, responses=WORK)
    async def open_(asked: Annotated[Open, Body()]) -> Any:
        """Open a model, and hear what can be done with it."""
        return await begin("open", asked, opened, beginnings)

    @router.post("/api/live/explain", response_model=Begun, status_code=202, responses=WORK)
    async def explain(asked: Annotated[Explain, Body()]) -> Any:
        """Explain why a picture and sentences agree."""
        return await begin("explain", asked, explained)

    @router.post("/api/live/search", response_model=Begun, status_code=202, responses=WORK)
    async def search(asked: Annotated[Find, Body()]) -> Any:
        """Search tokens for a region that say a concept."""
        return await begin("search", asked, searched)

    @router.post("/api/live/write", response_model=Begun, status_code=202, responses=WORK)
    async def write(asked: Annotated[Write, Body()]) -> Any:
        """Put tokens into a region by their numbers, take them away, or move along them."""
        return await begin("write", asked, written)

    @router.post("/api/live/begin", response_model=Begun, status_code=202, responses=WORK)
    async def begin_(asked: Annotated[Slide, Body()]) -> Any:
        """Where a hand begins: the latents of a picture, or of a draw of the prior."""
        return await begin("begin", asked, started, beginnings)

    @router.post("/api/live/slide", response_class=Response, responses=WORK | PNG)
    async def slide(asked: Annotated[Slide, Body()]) -> Response:
        """The picture of moved latents, at once."""
        studio.bench.check(asked.model)
        data = await studio.threads.at_once(slid, studio, beginnings, asked)
        return Response(data, media_type="image/png", headers={"cache-control": "no-store"})

    @router.post("/api/live/measure", response_model=Begun, status_code=202, responses=WORK)
    async def measure(asked: Annotated[Slide, Body()]) -> Any:
        """Measure what a move of latents changes."""
        return await begin("measure", asked, measured, beginnings)

    @router.post("/api/live/steer", response_model=Begun, status_code=202, responses=WORK)
    async def steer(asked: Annotated[Steer, Body()]) -> Any:
        """The concepts of a picture, and what changes of them would mean."""
        return await begin("steer", asked, steered)

    return router


def shown(studio: Studio) -> Response:
    """The page."""
    template = environment().get_template("studio/live.html")
    made = Markup(template.render(view=live_view(studio), links=LINKS))
    return whole(studio, made, "Live", "live", extra=("edit.css", "live.css", "live.js"))


def told(job: Job) -> dict[str, Any]:
    """A job that was taken on."""
    return {"job": job.number, "state": job.state}


def opened(studio: Studio, beginnings: Beginnings, asked: Open, report: Report) -> dict[str, Any]:
    """What can be done with a model."""
    report("opening", 0, 1)
    if asked.tool == "tokens":
        return about_tokens(studio, asked)
    if asked.tool == "concepts":
        return about_concepts(studio, asked.model)
    studio.bench.model(asked.tool, asked.model)
    return {}


def started(studio: Studio, beginnings: Beginnings, asked: Slide, report: Report) -> dict[str, Any]:
    """Where a hand begins."""
    report("opening", 0, 1)
    return about_latents(studio, beginnings, asked)
