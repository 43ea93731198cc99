"""Pictures that live work is done on: of the atlas, or sent."""

from typing import NamedTuple

from PIL import Image

from legenda.corpus.images import open_bytes
from legenda.errors import Missing
from legenda.show.site import shown
from legenda.studio.live_asked import Which
from legenda.studio.state import Studio


class Chosen(NamedTuple):
    """A picture, what it is called, and its number where it is of the atlas."""

    picture: Image.Image
    source: str
    number: int | None


def chosen(studio: Studio, which: Which) -> Chosen:
    """The picture that is meant."""
    if which.upload is not None:
        return Chosen(studio.uploads.find(which.upload), "the picture that was sent", None)
    row = studio.atlas.one("SELECT data, caption, source FROM pictures WHERE id = ?", which.atlas)
    if row is None:
        raise Missing(f"there is no picture {which.atlas} in this atlas.")
    name = shown(row["caption"] or row["source"], 80) or f"picture {which.atlas}"
    picture = open_bytes(row["data"], name, studio.uploads.pixels)
    return Chosen(picture, name, which.atlas)
