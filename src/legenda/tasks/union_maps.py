"""Maps in nats of pictures and sentences, fitted with several seeds, and whether pairs match."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.agreement import begun, method_for, pixels
from legenda.models.dual import Dual
from legenda.references import reference_for


class Mapped(NamedTuple):
    """One pair: its maps, a seed each; its cosine, how far it stands out, and where a match begins."""  # noqa: E501

    maps: Float[Tensor, "s h w"]
    cosine: float
    standing: float
    least: float

    @property
    def facts(self) -> dict[str, Any]:
        """The numbers of the pair; what does not match is flagged, with the reason."""
        said: dict[str, Any] = {
            "cosine": self.cosine,
            "standing": self.standing,
            "least": self.least,
        }
        said["flagged"] = self.standing <= self.least
        if said["flagged"]:
            said["warning"] = (
                f"the pair stands out by {self.standing:.1f}, and a match begins at "
                f"{self.least:.1f}: what the map explains is hardly there"
            )
        return said


def mapped(
    dual: Dual, pictures: Sequence[Any], sentences: Sequence[str], seeds: Sequence[int]
) -> list[Mapped]:
    """Every pair, in order; pictures are run up to the site once."""
    x, texts = pixels(dual, list(pictures)), list(sentences)
    reference = reference_for(dual, list(pictures), texts)
    target, units, found = dual.similar_to_text(texts), begun(dual.image, x), []
    for seed in seeds:
        found.append(method_for(dual, "image", "m2ib", reference, {"seed": seed})(units, x, target))
    maps = torch.stack([one.map() for one in found], 1).detach().cpu().double()
    with torch.no_grad():
        image, text = dual.embed_images(x), dual.embed_text(texts)
        standing, cosine = reference.standing(image, text), (image * text).sum(1)
    return [
        Mapped(one, float(c), float(s), reference.threshold)
        for one, c, s in zip(maps, cosine, standing, strict=True)
    ]
