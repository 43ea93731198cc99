"""Live: which tokens, in a painted region, say a concept most loudly; and what judges say."""

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
from legenda.studio.live_asked import Find, Open
from legenda.studio.live_kept import kept_edit
from legenda.studio.live_pictures import chosen
from legenda.studio.state import Studio
from legenda.tasks.edit import toward


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
    """The grid of a model, the concepts that can be searched for, and where it looks.

    `frame` is where the grid lies on the picture, in shares: left, top, right, bottom.
    """
    tools: TokenTools = studio.bench.model("tokens", asked.model)
    frame = [0.0, 0.0, 1.0, 1.0]
    if asked.picture is not None:
        size = chosen(studio, asked.picture).picture.size
        box = tools.vq.preprocess.frame(size)
        frame = [edge / side for edge, side in zip(box, size + size, strict=True)]
    return {
        "grid": list(tools.vq.grid), "frame": frame, "concepts": list(tools.concepts.concepts)
    }  # fmt: skip


def searched(studio: Studio, asked: Find, report: Report) -> dict[str, Any]:
    """A search, beside random fillings of the same cells."""
    began, tools = time.monotonic(), studio.bench.model("tokens", asked.model)
    seen, source, _ = chosen(studio, asked.picture)
    cells = tuple(sorted(set(asked.cells)))
    size = tools.vq.grid[0] * tools.vq.grid[1]
    if cells[-1] >= size:
        raise BadInput(
            f"the region names cell {cells[-1]}; {asked.model} has {size}, numbered from 0."
        )
    x = tools.vq.pixels([seen])
    search = partial(
        CodebookSearch, steps=asked.steps, restarts=asked.restarts, every=min(5, asked.steps)
    )
    found = toward(
        tools.vq, tools.concepts, x, asked.concept, cells, tools.judges, names=tools.names,
        search=search, seed=asked.seed, report=report,
    )  # fmt: skip
    said = plain(found, source, legenda=__version__)
    html = environment().get_template("edit_article.html").render(lead=lead(said), **context(said))
    kept = None
    if studio.how.edit:
        both = picture(said, "before"), picture(said, "after")
        kept_edit(studio.atlas, said, *both, time.monotonic() - began, said["edit"])
        kept = "/findings"
    return {"html": html, "lead": lead(said), "kept": kept}
