"""The interface for programs: what the pages show, as JSON; and a person's names for units."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from pydantic import Field

from legenda import __version__
from legenda.atlas.corrections import rename, undo
from legenda.atlas.schema import KINDS, STATES
from legenda.errors import Missing, Refused
from legenda.show.site import called, viewer
from legenda.studio import answers as say
from legenda.studio.answers import PROBLEMS, TOKEN, WORK, Number
from legenda.studio.rows import overview_of, picture_of, studies_of, unit_of
from legenda.studio.state import Studio

Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=10**9)]
Words = Annotated[str, Query(max_length=300)]
Least = Annotated[float, Field(allow_inf_nan=False)] | Literal[""]
Chosen = Annotated[int, Field(ge=0, le=2**63 - 1)] | Literal[""]
READ_ONLY = (
    "this studio only shows the atlas. Start it with --edit to keep names and results in it."
)


def routes(studio: Studio) -> APIRouter:
    """`/api` for what the atlas holds."""
    router, atlas, read = (
        APIRouter(prefix="/api", tags=["atlas"]),
        studio.atlas,
        studio.threads.read,
    )

    @router.get("/overview", response_model=say.Overview, responses=PROBLEMS)
    async def overview() -> Any:
        """Models, sets of units with their tallies, and how much there is."""
        head = {"title": called(atlas), "legenda": __version__, "edit": studio.how.edit}
        return head | await read(overview_of, atlas)

    @router.get("/search", response_model=say.Search, responses=PROBLEMS)
    async def search(
        q: Words = "",
        set: Chosen = "",
        kind: Literal["", *KINDS] = "",  # pyright: ignore
        state: Literal["", *STATES] = "",  # pyright: ignore
        certainty: Least = "",
        score: Least = "",
        order: Literal["certainty", "score", "number"] = "certainty",
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Any:
        """Units by name, set, kind, state, least certainty and least score."""
        return await read(
            viewer("units"), atlas, q=q, set=set, kind=kind, state=state, certainty=certainty,
            score=score, order=order, limit=limit, offset=offset,
        )  # fmt: skip

    @router.get("/units/{number}", response_model=say.Unit, responses=PROBLEMS)
    async def unit(number: Number) -> Any:
        """A unit, with all that is held of it."""
        return await read(unit_of, atlas, number)

    @router.put(
        "/units/{number}/name", response_model=say.Unit, responses=WORK, dependencies=[TOKEN]
    )
    async def name(number: Number, named: Annotated[say.Named, Body()]) -> Any:
        """Give a unit a person's name, or take it back; it outlives every rerun."""
        return await read(renamed, studio, number, named.name)

    @router.get("/pictures/{number}", response_model=say.Picture, responses=PROBLEMS)
    async def picture(number: Number) -> Any:
        """A picture without its bytes, and what was made of it."""
        return await read(picture_of, atlas, number)

    @router.get("/studies", response_model=list[say.Study], responses=PROBLEMS)
    async def studies(limit: Limit = 50, offset: Offset = 0) -> Any:
        """What was done, the newest first."""
        return await read(studies_of, atlas, limit, offset)

    return router


def renamed(studio: Studio, number: int, name: str) -> dict[str, Any]:
    """A unit under its new name."""
    if not studio.how.edit:
        raise Refused(READ_ONLY)
    if studio.atlas.one("SELECT 1 FROM units WHERE id = ?", number) is None:
        raise Missing(f"there is no unit {number} in this atlas.")
    if name.strip():
        rename(studio.atlas, number, name, by="studio")
    else:
        undo(studio.atlas, number)
    return unit_of(studio.atlas, number)
