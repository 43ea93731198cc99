"""Pictures of the atlas, drawings of evidence, and the files that pages are made with.

Only kinds of picture that hold no script are given out, whatever a row says that it is. Files are
read from a list that is made at the start: no path of a request ever meets the disk.
"""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response

from legenda.errors import BadInput, Missing
from legenda.show.drawings import media
from legenda.show.site import assets
from legenda.studio.answers import PROBLEMS, Number
from legenda.studio.live_page import assets as live_assets
from legenda.studio.state import Studio

PICTURES = ("image/avif", "image/gif", "image/jpeg", "image/png", "image/webp")
KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
CACHE = "private, no-cache"
"""A browser may keep it, and asks whether it still holds: a number may be given anew."""
What = Annotated[str, Path(max_length=40, pattern=r"^[a-z]+(-[0-9]{1,8})?$")]
Held = Annotated[str | None, Header(alias="if-none-match")]
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in PICTURES}, "description": "The picture"},
    304: {"description": "It has not changed"},
}


def routes(studio: Studio) -> APIRouter:
    """`/media` and `/static`."""
    router, atlas = APIRouter(tags=["media"], default_response_class=Response), studio.atlas
    files = {name: (data, etag(data)) for name, data in (assets() | live_assets()).items()}

    def kept(number: int, held: str | None) -> Response:
        digest = atlas.value("SELECT digest FROM pictures WHERE id = ?", number)
        if digest is None:
            raise Missing(f"there is no picture {number} in this atlas.")
        return drawn(f"picture/{number}", f'"{digest}"', held)

    def laid(number: int, what: str, held: str | None) -> Response:
        key = atlas.value("SELECT key FROM evidence WHERE id = ?", number)
        if key is None:
            raise Missing(f"there is no evidence {number} in this atlas.")
        return drawn(f"evidence/{number}/{what}", f'"{key}-{what}"', held)

    def drawn(key: str, tag: str, held: str | None) -> Response:
        if holds(held, tag):
            return same(tag)
        try:
            kind, data = media(atlas, key)
        except BadInput as problem:  # damaged, or nothing that can be drawn
            raise Missing(str(problem)) from None
        if kind not in PICTURES:
            raise Missing(f"{key} is kept as something that is no picture, and is not given out.")
        return sent(data, kind, tag)

    @router.get("/media/picture/{number}", responses={**BYTES, **PROBLEMS})
    async def picture(number: Number, held: Held = None) -> Response:
        """A picture of the atlas, as it is kept."""
        return await studio.threads.read(kept, number, held)

    @router.get("/media/evidence/{number}/{what}", responses={**BYTES, **PROBLEMS})
    async def evidence(number: Number, what: What, held: Held = None) -> Response:
        """A drawing of evidence: `sheet`, or `map-0`, which is laid over a picture."""
        return await studio.threads.read(laid, number, what, held)

    @router.get("/static/{name}", include_in_schema=False)
    async def static(name: str, held: Held = None) -> Response:
        """A file that pages are made with."""
        if name not in files:
            raise Missing("There is nothing at this address.")
        data, tag = files[name]
        return same(tag) if holds(held, tag) else sent(data, KINDS[name.rpartition(".")[2]], tag)

    return router


def holds(held: str | None, tag: str) -> bool:
    """Whether what a browser says that it holds is what it would be sent."""
    tags = [one.strip().removeprefix("W/") for one in (held or "").split(",")]
    return "*" in tags or tag in tags


def sent(data: bytes, kind: str, tag: str) -> Response:
    """A file, with what tells whether it has changed."""
    return Response(data, media_type=kind, headers={"etag": tag, "cache-control": CACHE})


def same(tag: str) -> Response:
    """Word that nothing has changed."""
    return Response(status_code=304, headers={"etag": tag, "cache-control": CACHE})


def etag(data: bytes) -> str:
    """What stands for the content of a file."""
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'
