"""Live: which tokens, in a painted region, say a concept most loudly; and what judges say.

Or tokens by number, put there, taken away, or moved along.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from legenda import __version__
from legenda.errors import BadInput
from legenda.explain.codebook_search import CodebookSearch
from legenda.models.vq import VQ
from legenda.show.edit import context, picture, plain
from legenda.show.edit_words import lead
from legenda.show.site import environment
from legenda.studio.jobs import Report
from legenda.studio.live_asked import Change, Find, Open, Write
from legenda.studio.live_kept import kept_edit
from legenda.studio.live_pictures import chosen
from legenda.studio.state import Studio
from legenda.tasks.bench import Edited
from legenda.tasks.edit import rewritten, toward
from legenda.tasks.steps import Put, Steer, Step


@dataclass(frozen=True, eq=False)
class TokenTools:
    """A model with a codebook, the concept model that a search asks, and who judges the end.

    `names` are what the classes of the judges are called; None: as the concepts are.
    """

    vq: VQ
    concepts: Any
    judges: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] | None = None


def about_tokens(studio: Studio, asked: Open) -> dict[str, Any]:
    """The grid of a model, the concepts that can be searched for, its tokens, and where it looks.

    `frame` is where the grid lies on the picture, in shares: left, top, right, bottom.
    """
    tools: TokenTools = studio.bench.model("tokens", asked.model)
    frame = [0.0, 0.0, 1.0, 1.0]
    if asked.picture is not None:
        size = chosen(studio, asked.picture).picture.size
        box = tools.vq.preprocess.frame(size)
        frame = [edge / side for edge, side in zip(box, size + size, strict=True)]
    return {
        "grid": list(tools.vq.grid), "frame": frame, "concepts": list(tools.concepts.concepts),
        "tokens": len(tools.vq.codebook),
        "names": studio.bench.names(asked.model, "token", len(tools.vq.codebook)),
    }  # fmt: skip


def searched(studio: Studio, asked: Find, report: Report) -> dict[str, Any]:
    """A search, beside random fillings of the same cells."""
    began, tools = time.monotonic(), studio.bench.model("tokens", asked.model)
    seen, source, _ = chosen(studio, asked.picture)
    search = partial(
        CodebookSearch, steps=asked.steps, restarts=asked.restarts, every=min(5, asked.steps)
    )
    found = toward(
        tools.vq, tools.concepts, tools.vq.pixels([seen]), asked.concept, region(tools, asked),
        tools.judges, names=tools.names, search=search, seed=asked.seed, report=report,
    )  # fmt: skip
    return told(studio, found, source, began)


def written(studio: Studio, asked: Write, report: Report) -> dict[str, Any]:
    """Tokens by number, beside the same steps with other tokens by lot."""
    began, tools = time.monotonic(), studio.bench.model("tokens", asked.model)
    seen, source, _ = chosen(studio, asked.picture)
    report("writing", 0, 1)
    found = rewritten(
        tools.vq, tools.vq.pixels([seen]), [step(one) for one in asked.changes],
        region(tools, asked), tools.judges,
        names=tools.names or tools.concepts.concepts, seed=asked.seed,
    )  # fmt: skip
    report("writing", 1, 1)
    return told(studio, found, source, began)


def region(tools: TokenTools, asked: Find | Write) -> tuple[int, ...]:
    """Cells of the grid, each once, in order."""
    cells, size = tuple(sorted(set(asked.cells))), tools.vq.grid[0] * tools.vq.grid[1]
    if cells[-1] >= size:
        raise BadInput(
            f"the region names cell {cells[-1]}; {asked.model} has {size}, numbered from 0."
        )
    return cells


def step(change: Change) -> Step:
    """A step of an edit."""
    if change.do == "steer":
        return Steer(change.token, change.by)
    return Put(change.token, int(change.do == "put"))


def told(studio: Studio, found: Edited, source: str, began: float) -> dict[str, Any]:
    """An edit for the page; in the atlas, where it may be changed."""
    said = plain(found, source, legenda=__version__)
    html = environment().get_template("edit_article.html").render(lead=lead(said), **context(said))
    kept = None
    if studio.how.edit:
        both = picture(said, "before"), picture(said, "after")
        kept_edit(studio.atlas, said, *both, time.monotonic() - began, said["edit"])
        kept = "/findings"
    return {"html": html, "lead": lead(said), "kept": kept}
