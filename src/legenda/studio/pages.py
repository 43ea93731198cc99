"""The pages of the atlas: views, the same as in a report, within the shell of a server."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from legenda.errors import Missing
from legenda.show.links import StudioLinks
from legenda.show.site import body, page, viewer
from legenda.studio.answers import Number
from legenda.studio.live_page import PLACE
from legenda.studio.state import Studio

ALONE = ("overview", "units", "pictures", "tree", "graph", "curves", "findings", "compare")
ONE = {"unit": "units", "picture": "pictures"}
"""Views of one thing, and the table that it is in."""
ASKED = ("q", "set", "kind", "state", "certainty", "score", "order", "limit", "offset")
"""What may stand in the address of the list of units; everything else is no concern of ours."""
LONGEST = 300
"""Characters of a value in an address, at most."""
LINKS = StudioLinks()
TWINS = "SELECT 1 FROM sets GROUP BY kind HAVING count(*) > 1 LIMIT 1"
"""Whether there is something to compare inside one atlas."""
SORRY = Markup('<h1>{}</h1>\n<p>{}</p>\n<p><a href="/overview">To the overview</a></p>')
BARE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/page.css">
</head>
<body class="legenda page">
<main>
{}
</main>
</body>
</html>
""")
ONWARD = Markup('<p><a href="/live?picture={}">Work on this picture live</a></p>\n')
Leaf = Annotated[int, Path(ge=1, le=10**9)]


def routes(studio: Studio) -> APIRouter:
    """Every view at its name; those of one thing with its number."""
    router, read = APIRouter(include_in_schema=False), studio.threads.read

    def alone(view: str) -> Any:
        async def answer(request: Request) -> Response:
            return await read(viewed, studio, view, **asked(view, request))

        return answer

    @router.get("/unit/{number}")
    async def unit(number: Number) -> Response:
        return await read(viewed, studio, "unit", number)

    @router.get("/picture/{number}")
    async def picture(number: Number) -> Response:
        return await read(viewed, studio, "picture", number)

    @router.get("/pictures/{number}")
    async def pictures(number: Leaf) -> Response:
        return await read(viewed, studio, "pictures", number)

    router.add_api_route("/", alone("overview"))
    for view in ALONE:
        router.add_api_route(f"/{view}", alone(view))
    return router


def viewed(studio: Studio, view: str, *of: int, **asked: Any) -> Response:
    """A page."""
    atlas = studio.atlas
    if view in ONE and atlas.one(f"SELECT 1 FROM {ONE[view]} WHERE id = ?", *of) is None:
        raise Missing(f"There is no {view} {of[0]} in this atlas.")
    more = [studio.how.against] if view == "compare" else of
    said = viewer(view)(atlas, *more, **asked)
    title = str(said.get("title", view.capitalize()))
    shown = body(view, said, LINKS)
    shown += ONWARD.format(of[0]) if view == "picture" else ""
    extra = ("rename.js",) if view == "unit" and studio.how.edit else ()
    return whole(studio, shown, title, view, extra=extra)


def whole(
    studio: Studio,
    shown: Markup,
    title: str,
    view: str,
    status: int = 200,
    extra: tuple[str, ...] = (),
) -> Response:
    """A body within the shell."""
    comparable = studio.how.against is not None or studio.atlas.one(TWINS) is not None
    html = page(
        shown, title=title, links=LINKS, mode="studio", atlas=studio.atlas, view=view,
        token=studio.token, places=[PLACE], extra=extra, compare=comparable,
    )  # fmt: skip
    return HTMLResponse(html, status, headers={"cache-control": "no-cache"})


async def sorry(studio: Studio, status: int, sentence: str) -> Response:
    """A page that says why there is none."""
    title, shown = excuse(status, sentence)
    return await studio.threads.read(whole, studio, shown, title, "sorry", status)


def bare(status: int, sentence: str) -> Response:
    """The same without the shell, for when the shell cannot be made."""
    title, shown = excuse(status, sentence)
    return HTMLResponse(BARE.format(title, shown), status, headers={"cache-control": "no-store"})


def excuse(status: int, sentence: str) -> tuple[str, Markup]:
    """A title, and a body, that say why there is no page."""
    title = {404: "Not here"}.get(status, "This cannot be shown")
    return title, SORRY.format(title, sentence[:500])


def asked(view: str, request: Request) -> Mapping[str, str]:
    """What an address asks of a view, each name once, and cut."""
    known = ASKED if view == "units" else ()
    return {n: v[:LONGEST] for n, v in request.query_params.items() if n in known}
