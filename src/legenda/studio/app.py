"""The application: pages, media, an interface for programs, and live work, behind one guard."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from legenda import __version__
from legenda.atlas.store import Atlas
from legenda.errors import BadInput, LegendaError, Missing, Refused, Unsupported
from legenda.studio import api, api_jobs, live, media, pages
from legenda.studio.live_models import Openers
from legenda.studio.security import READS, Guard
from legenda.studio.state import Settings, Studio

ABOUT = "An atlas of units, read by programs. Writing needs a token that only the pages hold."


def application(atlas: Atlas, how: Settings | None = None, openers: Openers | None = None) -> Guard:
    """The studio of an atlas as an ASGI application; its `studio` is what it holds."""
    how = how or Settings()
    studio = Studio.of(atlas, how, openers)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        studio.close()

    app = FastAPI(
        title="Legenda studio", description=ABOUT, version=__version__, lifespan=life,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.include_router(media.routes(studio))
    for part in (pages, api, api_jobs, live):
        app.include_router(part.routes(studio), dependencies=[Depends(still(studio))])
    app.add_exception_handler(LegendaError, refused(studio))
    app.add_exception_handler(RequestValidationError, misread)
    app.add_exception_handler(HTTPException, absent(studio))
    app.add_exception_handler(Exception, broken)
    return Guard(app, studio, how.most, how.patience)


def still(studio: Studio) -> Callable[[], Awaitable[None]]:
    """The atlas has to be where it was: a file that is gone stays open, and is written in vain."""
    was = place_of(studio.atlas.file)

    async def there() -> None:
        if place_of(studio.atlas.file) != was:
            raise Missing(
                f"{studio.atlas.folder} is gone, or another atlas stands in its place. Start the "
                "studio again."
            )

    return there


def place_of(file: Path) -> tuple[int, int] | None:
    """What tells a file from any other; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def status_of(problem: Exception, method: str) -> int:
    """The status that fits an error of ours."""
    if isinstance(problem, Missing):
        return 404 if method in READS else 409
    if isinstance(problem, Refused):
        return 409
    return 422 if isinstance(problem, BadInput | Unsupported) else 400


def refused(studio: Studio) -> Any:
    """An error of ours as the sentence that it is."""

    async def answer(request: Request, problem: Exception) -> Response:
        status = status_of(problem, request.method)
        return await said(studio, request, status, str(problem))

    return answer


def absent(studio: Studio) -> Any:
    """What is at no address, or is not asked for in this way."""

    async def answer(request: Request, problem: Any) -> Response:
        sentence = {
            404: "There is nothing at this address.",
            405: f"This address does not take {request.method}.",
        }.get(problem.status_code, HTTPStatus(problem.status_code).phrase)
        made = await said(studio, request, problem.status_code, sentence)
        made.headers.update(problem.headers or {})
        return made

    return answer


async def misread(_: Request, problem: Any) -> Response:
    """Which part of a request cannot be read, and why."""
    first = problem.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    sentence = f"{where[:80]} cannot be used: {first['msg'][0].lower()}{first['msg'][1:]}."
    return told(422, sentence)


async def broken(request: Request, problem: Exception) -> Response:
    """A mistake of ours: said without the shell of pages, which may be what is broken."""
    sentence = (
        f"Something went wrong inside legenda ({type(problem).__name__}); the terminal says where."
    )
    made = pages.bare(500, sentence) if reads(request) else told(500, sentence)
    made.headers["connection"] = "close"  # the server hangs up after a mistake
    return made


async def said(studio: Studio, request: Request, status: int, sentence: str) -> Response:
    """A sentence: as a page for who reads pages, else as JSON."""
    if not reads(request):
        return told(status, sentence)
    try:
        return await pages.sorry(studio, status, sentence)
    except LegendaError:  # it is the atlas that cannot be read
        return pages.bare(status, sentence)


def reads(request: Request) -> bool:
    """Whether somebody reads pages, and has asked for one."""
    page = request.method in READS and not request.url.path.startswith(("/api/", "/media/"))
    return page and "text/html" in request.headers.get("accept", "")


def told(status: int, sentence: str) -> Response:
    """A sentence for programs."""
    return JSONResponse({"error": sentence}, status, headers={"cache-control": "no-store"})
