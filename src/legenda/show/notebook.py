"""An atlas in a notebook: a view as a fragment that holds its pictures and touches nothing else.

For the last line of a cell:

from legenda.show.notebook import display
display(atlas)                      # the overview
display(atlas, "unit", 5)           # a unit, by its number in the atlas
display(atlas, "units", q="fur")    # what a search finds
"""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.show.links import NotebookLinks
from legenda.show.site import STYLES, body, text_of, viewer

FEW = 12
"""Units of a search that are shown, unless more are asked for: each brings its picture along."""


@dataclass(frozen=True)
class Shown:
    """A view that a notebook draws; `html` is all of it."""

    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Shown({len(self.html):,} characters of HTML)"


def display(atlas: Atlas, view: str = "overview", *of: int, **asked: Any) -> Shown:
    """A view of an atlas, for the last line of a cell; `of` says of which unit or picture."""
    make = viewer(view)
    if view in ("unit", "picture") and len(of) != 1:
        raise BadInput(f"display shows one {view}; say which: display(atlas, {view!r}, 5).")
    if view == "units":
        asked = {"limit": FEW, **asked}
    made = body(view, make(atlas, *of, **asked), NotebookLinks(atlas))
    style = Markup(text_of(STYLES))
    return Shown(f'<div class="legenda fragment"><style>{style}</style>{made}</div>')
