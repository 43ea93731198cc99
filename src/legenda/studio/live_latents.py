"""Live: latents that are moved by hand, decoded while they move, and measured when asked to.

A decoded frame is the picture of the latents alone, without any other; what a move changes is told
beside moves of the same length by lot.
"""

import io
import time
from collections import OrderedDict
from threading import Lock
from typing import Any, NamedTuple

import torch

from legenda.errors import BadInput
from legenda.show.latent_edit import context, lead, plain
from legenda.show.site import environment
from legenda.studio.jobs import Report
from legenda.studio.live_asked import Slide
from legenda.studio.live_kept import as_picture, kept_moves
from legenda.studio.live_pictures import chosen
from legenda.studio.state import Studio
from legenda.tasks.latent_edit import LatentStep, checked, followed, moved, shown
from legenda.types import Acts, Images

HELD = 16


class Begun(NamedTuple):
    """Where a hand begins: the picture as the model takes it, its latents, and what it is."""

    x: Images
    acts: Acts
    source: str


class Beginnings:
    """The last beginnings, so that a slider does not encode its picture again at every step."""

    def __init__(self, studio: Studio):
        self.studio, self.lock = studio, Lock()
        self.held: OrderedDict[tuple[Any, ...], Begun] = OrderedDict()

    @torch.no_grad()
    def of(self, model: Any, asked: Slide) -> Begun:
        """The latents of a picture, or a draw of the prior."""
        which = asked.picture
        key = asked.model, asked.seed, (which.atlas, which.upload) if which else None
        with self.lock:
            if key not in self.held:
                self.held[key] = self.made(model, asked)
            self.held.move_to_end(key)
            while len(self.held) > HELD:
                self.held.popitem(last=False)
            return self.held[key]

    def made(self, model: Any, asked: Slide) -> Begun:
        """The same, anew."""
        if asked.picture is not None:
            picture, source, _ = chosen(self.studio, asked.picture)
            x = model.pixels([picture])
            return Begun(x, model.acts(x), source)
        if tuple(model.grid) != (1, 1):
            raise BadInput(
                f"the latents of {model.name} lie on a grid: no prior says where to begin. Choose "
                "a picture."
            )
        lot = torch.Generator().manual_seed(asked.seed)
        acts = torch.randn(1, 1, model.width, generator=lot).to(model.device)
        return Begun(model.decode(acts), acts, f"a draw of the prior, by seed {asked.seed}")


def about_latents(studio: Studio, beginnings: Beginnings, asked: Slide) -> dict[str, Any]:
    """How many latents there are, and their values where a hand begins."""
    model = studio.bench.model("latents", asked.model)
    begun = beginnings.of(model, asked)
    values = begun.acts[0].mean(0).tolist()
    return {
        "width": model.width, "spatial": tuple(model.grid) != (1, 1), "values": values,
        "source": begun.source, "names": studio.bench.names(asked.model, "latent", model.width),
    }  # fmt: skip


@torch.no_grad()
def slid(studio: Studio, beginnings: Beginnings, asked: Slide) -> bytes:
    """The picture of moved latents, as a file."""
    model = studio.bench.model("latents", asked.model)
    begun, moves = beginnings.of(model, asked), steps(asked)
    if moves:
        checked(model, moves)
    made = shown(model, followed(begun.acts, moves))[0]
    held = io.BytesIO()
    as_picture(made).save(held, "PNG", compress_level=1)
    return held.getvalue()


def measured(
    studio: Studio, beginnings: Beginnings, asked: Slide, report: Report
) -> dict[str, Any]:
    """What a move changes, beside moves as long by lot."""
    began, model = time.monotonic(), studio.bench.model("latents", asked.model)
    begun = beginnings.of(model, asked)
    if not asked.moves:
        raise BadInput("nothing was moved, so that there is nothing to measure. Move a slider.")
    report("measuring", 0, 1)
    found = moved(model, begun.x, steps(asked), asked.seed)
    said = plain(found, begun.source, model=model.ref, seed=asked.seed)
    template = environment().get_template("studio/moved.html")
    html = template.render(lead=lead(said), settings=said["settings"], command="", **context(said))
    kept = None
    if studio.how.edit:
        kept_moves(studio.atlas, found, said, time.monotonic() - began)
        kept = "/findings"
    return {"html": html, "lead": lead(said), "kept": kept}


def steps(asked: Slide) -> list[LatentStep]:
    """The moves that are asked for."""
    return [LatentStep(move.unit, move.value, move.add) for move in asked.moves]
