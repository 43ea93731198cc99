"""The pages of an atlas, in three places: one file on disk, a local server, a notebook.

The way is atlas → plain dict (`views`) → template → page. Views and templates are the same in all
places; only where a link leads and how a picture is brought differs, which `Links` says.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from markupsafe import Markup, escape

from legenda import __version__
from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.show.page import TEMPLATES

VIEWS = {
    "overview": "legenda.show.views.overview:overview",
    "units": "legenda.show.views.units:units",
    "unit": "legenda.show.views.unit:unit",
    "pictures": "legenda.show.views.pictures:pictures",
    "picture": "legenda.show.views.picture:picture",
    "tree": "legenda.show.views.tree:tree",
    "graph": "legenda.show.views.graph:graph",
    "curves": "legenda.show.views.curves:curves",
    "findings": "legenda.show.views.findings:findings",
    "compare": "legenda.show.views.compare:compare",
}
"""Name of a view → where it is made; its template is `atlas/NAME.html`."""


@runtime_checkable
class Links(Protocol):
    """Where a view is found, and how a picture of the atlas is brought into a page."""

    def to(self, view: str, of: int | str = "") -> str: ...
    def picture(self, of: int) -> Markup:
        """The attribute of an `img`: `src` where it can be asked for, `data-picture` where not."""
        ...


@dataclass(frozen=True)
class ReportLinks:
    """In one file: views by hash, pictures from the store at the end of the page."""

    def to(self, view: str, of: int | str = "") -> str:
        return f"#{view}/{of}" if of != "" else f"#{view}"

    def picture(self, of: int) -> Markup:
        return Markup('data-picture="{}"').format(of)


@dataclass(frozen=True)
class StudioLinks:
    """On a local server."""

    def to(self, view: str, of: int | str = "") -> str:
        return f"/{view}/{of}" if of != "" else f"/{view}"

    def picture(self, of: int) -> Markup:
        return Markup('src="/media/picture/{}" loading="lazy"').format(of)


@dataclass(frozen=True)
class NotebookLinks:
    """In a notebook: pictures inside, and links to nowhere."""

    atlas: Atlas

    def to(self, view: str, of: int | str = "") -> str:
        return "#"

    def picture(self, of: int) -> Markup:
        row = self.atlas.one("SELECT media, data FROM pictures WHERE id = ?", of)
        if row is None:
            return Markup('src=""')
        data = base64.b64encode(row["data"]).decode()
        return Markup('src="data:{};base64,{}"').format(row["media"], data)


@cache
def environment() -> Any:
    """Templates, read once; every value is escaped, and an unknown one is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def viewer(name: str) -> Callable[..., dict[str, Any]]:
    """What makes the plain dict of a view."""
    if name not in VIEWS:
        raise BadInput(f"there is no view {name!r}; there are {', '.join(VIEWS)}.")
    module, _, function = VIEWS[name].partition(":")
    return getattr(import_module(module), function)


def body(name: str, said: Mapping[str, Any], links: Links, **more: Any) -> Markup:
    """What a page shows between head and foot: a view's dict through its template."""
    template = environment().get_template(f"atlas/{name}.html")
    return Markup(template.render(view=said, links=links, version=__version__, **more))


def shown(text: str, most: int = 120) -> str:
    """A name of others as it may stand in a line: cut, without what reorders or hides letters."""
    calm = "".join(c if c.isprintable() else " " for c in text)
    return calm if len(calm) <= most else calm[: most - 1] + "…"


__all__ = [
    "VIEWS", "Links", "NotebookLinks", "ReportLinks", "StudioLinks", "body", "environment",
    "escape", "shown", "viewer",
]  # fmt: skip
