"""An edit of latents as a plain dict, which `--json` prints, and as a page made from that dict."""

from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from legenda.core.attribute import ATTRIBUTES
from legenda.show.edit import difference, gap
from legenda.show.page import rendered
from legenda.show.pair import _uri
from legenda.show.view import Plain, finite
from legenda.tasks.latent_edit import LatentEdited

SURE = 0.1
"""Less than so many spreads is not spoken of."""
LEAST = 128


def plain(edited: LatentEdited, source: str, command: str = "", **settings: Any) -> Plain:
    """Everything about an edit, ready for `json.dumps`."""
    frames = [bytes_of(frame) for frame in edited.doses]
    before, after = frames[0], frames[-1]
    pictures = {
        "original": bytes_of(edited.original[0]), "before": before, "after": after,
        "difference": difference(before, after),
    }  # fmt: skip
    return finite(
        {
            "schema": 1,
            "kind": "edit",
            "of": "latents",
            "source": source,
            "edit": edited.edit,
            "n": 1,
            "size": [before.shape[1], before.shape[0]],
            "latents": {"before": edited.latents[0].tolist(), "after": edited.latents[1].tolist()},
            "strengths": list(edited.strengths),
            "changes": [vars(one) for one in edited.changes],
            "control": {"n": edited.controls, "by": "moves of the same length by lot"},
            "effects": {"largest": int(gap(before, after).max())},
            "pictures": {name: uri(p) for name, p in pictures.items()},
            "doses": [uri(frame) for frame in frames],
            "settings": {k: str(v) for k, v in settings.items()},
            "command": command,
        }
    )


def bytes_of(picture: Tensor) -> np.ndarray:
    """Colours as bytes, h w c."""
    return (picture.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().cpu().numpy()


def uri(pixels: np.ndarray) -> str:
    """A picture as text, pixel by pixel."""
    return _uri(Image.fromarray(pixels), "png")


def page(said: Plain) -> str:
    """A whole page about one edit."""
    return rendered(
        "latent_edit.html", style="edit.css latents.css", title=f"An edit: {said['edit']}",
        lead=lead(said), notes=[], command=said["command"], settings=said["settings"],
        **context(said),
    )  # fmt: skip


def context(said: Plain) -> Plain:
    """What the template needs."""
    width, height = said["size"]
    names = ("original", "before", "after", "difference")
    captions = {
        "original": "original, as the model takes it",
        "before": "before: decoded from its latents",
        "after": f"after: {said['edit']}",
        "difference": f"difference: bright is {said['effects']['largest']} of 255 levels",
    }
    return {
        "ratio": f"{width / height:.5f}",
        "tiles": [
            {"picture": said["pictures"][n], "alt": captions[n], "caption": captions[n]}
            for n in names
        ],  # fmt: skip # noqa: E501
        "doses": [
            {"picture": p, "alt": f"strength {s:.2f}", "caption": f"{s:.2f}"}
            for p, s in zip(said["doses"], said["strengths"], strict=True)
        ],
        "changes": [change(one, said["control"]["n"]) for one in said["changes"] if speaks(one)],
        "control": said["control"],
    }


def speaks(one: Plain) -> bool:
    """Whether a change is large enough to be spoken of."""
    return abs(one["spreads"]) >= SURE


def change(one: Plain, count: int) -> Plain:
    """A row of the table of changes."""
    known = ATTRIBUTES[one["attribute"]]
    return {
        "label": known.label, "before": f"{one['before']:.3g}", "after": f"{one['after']:.3g}",
        "unit": known.unit, "spreads": f"{one['spreads']:+.2f}",
        "control": "none" if one["control"] is None else f"{one['control']:.2f}",
        "above": f"{one['above']} of {count}",
    }  # fmt: skip


def lead(said: Plain) -> str:
    """What changed most, in one sentence."""
    told = [one for one in said["changes"] if speaks(one)]
    if not told:
        return "Nothing that is measured changed."
    most = told[0]
    name = ATTRIBUTES[most["attribute"]].label
    others = len(told) - 1
    rest = f"; {others} other attribute{'s' * (others > 1)} changed less" if others else ""
    lots = "" if most["control"] is None else f" (random moves as long: {most['control']:.2f})"
    return (
        f"{name[0].upper()}{name[1:]} changed most, by {most['spreads']:+.2f} of its spread among "
        f"pictures of the model{lots}{rest}. One picture, n = 1."
    )
