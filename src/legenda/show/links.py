"""Where a view is found, and how a picture is brought into a page: three answers.

A picture is named by a key, the same in all places: `picture/12` is a picture of the atlas, and
`evidence/7/sheet` is drawn from evidence 7 (`drawings.py` says what can be drawn).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlencode

from markupsafe import Markup

from legenda.atlas.store import Atlas
from legenda.errors import LegendaError


@runtime_checkable
class Links(Protocol):
    """Where a view is found, and how a picture of the atlas is brought into a page."""

    def to(self, view: str, of: int | str = "") -> str: ...
    def media(self, key: str) -> Markup:
        """The attribute of an `img`: `src` where it can be asked for, `data-picture` where not."""
        ...

    def picture(self, of: int) -> Markup: ...
    def drawing(self, of: int, what: str) -> Markup:
        """What is drawn from evidence `of`: its `sheet`, its `map`, its map `map-3`."""
        ...


@dataclass(frozen=True)
class _Named:
    """Pictures and drawings by their keys."""

    def media(self, key: str) -> Markup:
        raise NotImplementedError

    def picture(self, of: int) -> Markup:
        return self.media(f"picture/{of}")

    def drawing(self, of: int, what: str) -> Markup:
        return self.media(f"evidence/{of}/{what}")


@dataclass(frozen=True)
class ReportLinks(_Named):
    """In one file: views by hash, pictures from the store at the end of the page."""

    def to(self, view: str, of: int | str = "") -> str:
        return f"#{view}/{of}" if of != "" else f"#{view}"

    def media(self, key: str) -> Markup:
        return Markup('data-picture="{}"').format(key)


@dataclass(frozen=True)
class StudioLinks(_Named):
    """On a local server."""

    def to(self, view: str, of: int | str = "") -> str:
        return f"/{view}/{of}" if of != "" else f"/{view}"

    def media(self, key: str) -> Markup:
        return Markup('src="/media/{}" loading="lazy"').format(key)


@dataclass(frozen=True)
class NotebookLinks(_Named):
    """In a notebook: pictures inside, and links to nowhere."""

    atlas: Atlas

    def to(self, view: str, of: int | str = "") -> str:
        return "#"

    def media(self, key: str) -> Markup:
        from legenda.show.drawings import media

        try:
            found = data_uri(*media(self.atlas, key))
        except LegendaError:  # a torn file takes one picture away, not the view
            found = "data:,"
        return Markup('src="{}"').format(found)


def permalink(links: Links, asked: Mapping[str, Any], offset: int = 0) -> str:
    """The address of a search."""
    usual = ("", None, "certainty")
    said = {name: value for name, value in asked.items() if value not in usual}
    if offset > 0:
        said["offset"] = offset
    return links.to("units") + (f"?{urlencode(said)}" if said else "")


def data_uri(media: str, data: bytes) -> str:
    """A file as the address that holds it."""
    return f"data:{media};base64,{base64.b64encode(data).decode()}"
