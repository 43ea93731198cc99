"""The pages of an atlas, in three places: one file on disk, a local server, a notebook.

The way is atlas → plain dict (`views`) → template → page. Views and templates are the same in all
places; only where a link leads and how a picture is brought differs, which `Links` says.

A server makes a page so:

    links = StudioLinks()
    said = viewer("unit")(atlas, 5)                   # BadInput where there is no unit 5
    text = page(body("unit", said, links), title=said["title"], links=links, mode="studio",
                atlas=atlas, view="unit", token=csrf)

and serves `assets()` under `/static/NAME`, `drawings.media(atlas, key)` under `/media/KEY`, and
`views.units.units(atlas, **query)` (its `total` and `units`) as `/api/search`. Scripts are files,
so `script-src 'self'` will do; styles need `style-src 'self' 'unsafe-inline'`, since places are
said in attributes, and pictures `img-src 'self' data:`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from markupsafe import Markup, escape

from legenda import __version__
from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.show.links import Links, NotebookLinks, ReportLinks, StudioLinks, permalink
from legenda.show.page import TEMPLATES
from legenda.show.palette import short

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

STYLES = {"page.css": "page.css", "atlas.css": "atlas/atlas.css", "views.css": "atlas/views.css"}
FIRST = {"theme.js": "atlas/theme.js"}
"""What runs before anything is drawn, so that no page flashes in the wrong colours."""
SCRIPTS = {
    "views.js": "atlas/views.js",
    "find.js": "atlas/find.js",
    "atlas.js": "atlas/atlas.js",
}

RELATED = (
    "SELECT 1 FROM studies s WHERE EXISTS (SELECT 1 FROM relations r WHERE r.study = s.id "
    "AND r.kind IN ({})) LIMIT 1"
)
RESULTS = "SELECT 1 FROM results WHERE kind IN ({}) LIMIT 1"
PLACES = (
    ("overview", "Overview", "o", "SELECT 1"),
    ("units", "Units", "u", "SELECT 1 FROM units LIMIT 1"),
    ("pictures", "Pictures", "p", "SELECT 1 FROM pictures LIMIT 1"),
    ("tree", "Tree", "t", RELATED.format("'is-a', 'part-of'")),
    ("graph", "Graph", "g", RELATED.format("'co-occurs'")),
    ("curves", "Faithfulness", "f", RESULTS.format("'faithfulness'")),
    ("findings", "Findings", "i", "SELECT 1 FROM results WHERE kind <> 'faithfulness' LIMIT 1"),
)
"""View, title, the key after `g` that goes there, and what asks whether there is anything."""
COMPARE = ("compare", "Compare", "c")
PARENTS = {"unit": "units", "picture": "pictures"}


@cache
def environment() -> Any:
    """Templates, read once; every value is escaped, and an unknown one is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made: Any = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.filters |= {"shown": shown, "short": short, "n": lambda value: f"{value:.4g}"}
    made.globals.update(permalink=permalink, charts=import_module("legenda.show.charts"))
    return made


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


def page(
    body: Markup,
    *,
    title: str,
    links: Links,
    mode: str,
    atlas: Atlas,
    view: str = "overview",
    token: str = "",
    places: Sequence[Mapping[str, str]] = (),
    extra: Sequence[str] = (),
    **more: Any,
) -> str:
    """A whole page around a body, for the `mode` report or studio.

    `view` is marked in the navigation; `token` is handed to scripts that write; `places` are
    further entries of the navigation (view, title, key), and `extra` the names of further files
    under `/static/`, such as `live.js` or `live.css`.
    """
    shell = environment().get_template(f"atlas/{mode}.html")
    return shell.render(
        body=body,
        title=title,
        named=called(atlas),
        links=links,
        mode=mode,
        view=view,
        here=PARENTS.get(view, view),
        places=[*navigation(atlas, compare=bool(more.get("compare"))), *places],
        token=token,
        styles=[*STYLES, *(name for name in extra if name.endswith(".css"))],
        first=list(FIRST),
        scripts=[*SCRIPTS, *(name for name in extra if name.endswith(".js"))],
        version=__version__,
        **more,
    )


def navigation(atlas: Atlas, compare: bool = False) -> list[dict[str, str]]:
    """The views that have something to show: `view`, `title`, and the `key` that goes there."""
    found = [place[:3] for place in PLACES if atlas.one(place[3])]
    found += [COMPARE] if compare else []
    return [{"view": view, "title": title, "key": key} for view, title, key in found]


def assets() -> dict[str, bytes]:
    """The files that a page of the studio asks for, by the name under `/static/`."""
    return {name: _read(place) for name, place in (STYLES | FIRST | SCRIPTS).items()}


def text_of(names: Mapping[str, str]) -> str:
    """Files of ours, one after the other, for a page that holds everything."""
    return "\n".join(_read(place).decode() for place in names.values())


def _read(place: str) -> bytes:
    path = TEMPLATES / place
    return path.read_bytes() if path.is_file() else b""


def called(atlas: Atlas) -> str:
    """The name of an atlas: that of its folder."""
    name = atlas.folder.resolve().name
    return shown(name.removesuffix(".atlas").replace("_", " ") or "atlas", 60)


def shown(text: str, most: int = 120) -> str:
    """A name of others as it may stand in a line: cut, without what reorders or hides letters."""
    calm = "".join(c if c.isprintable() else " " for c in text[: 4 * most])
    return calm if len(text) <= most else calm[: most - 1] + "…"


__all__ = [
    "VIEWS", "Links", "NotebookLinks", "ReportLinks", "StudioLinks", "assets", "body", "called",
    "environment", "escape", "navigation", "page", "shown", "text_of", "viewer",
]  # fmt: skip
