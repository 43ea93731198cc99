"""What a person knows of attributes without being told: which follow, and which is the plain word.

*Shadows.* Attribute b follows from a, which stands before it in the table, where the two go
together among pictures of the model. *Wholes.* Where there is an object, the brightness, contrast
and detail of the whole picture follow from object and ground. *Paleness.* What shrinks or thins in
a blurred picture also grows pale: a colour beside a size that moves further is no second thing.

*Plain words.* Of a family's attributes the plainest one that moves steadily, and half as far as the
most, is the one to name, so that looks do not differ in a choice between near synonyms.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.attribute import ATTRIBUTES, FAMILIES

NAMES = tuple(ATTRIBUTES)


def places(*names: str) -> Tensor:
    """The columns of some attributes."""
    return torch.tensor([NAMES.index(name) for name in names])


WHOLE = places("brightness", "contrast", "texture")
THINNER = places("size", "stroke")
PALE = places("object_brightness", "saturation", "warmth")
PLAIN = {
    "ground": ("background", "brightness"),
    "colour": ("hue",),
    "light": ("light_x",),
}
"""What a family is named by, plainest first."""
HALF = 0.5
FAMILY = torch.tensor([[n in own for own in FAMILIES.values()].index(True) for n in NAMES])
"""The number of each attribute's family."""


def follows(
    moved: Float[Tensor, "l a"], shadows: Bool[Tensor, "a a"], least: float
) -> Bool[Tensor, "l a"]:
    """Which attributes follow from others in each look; `moved` is NaN where there is none.

    `least`: how far a size must move for paleness to follow from it.
    """
    here, far = moved.isfinite(), moved.abs().nan_to_num(0.0)
    found = torch.zeros_like(here)
    found[:, WHOLE] |= here[:, NAMES.index("size")][:, None]
    found |= (shadows & (here & ~found)[:, :, None]).any(1)  # a whole that follows casts none
    thinner = far[:, THINNER].amax(1, keepdim=True)
    found[:, PALE] |= (thinner >= least) & (far[:, PALE] <= thinner)
    return found


def plainest(
    best: Int[Tensor, " l"],
    strength: Float[Tensor, "l a"],
    steady: Float[Tensor, "l a"],
    least_trend: float,
) -> Int[Tensor, " l"]:
    """The attribute by which the family of the one that moves most is named."""
    found = best.clone()
    for row, most in enumerate(best.tolist()):
        family = next(f for f, names in FAMILIES.items() if NAMES[most] in names)
        for a in (NAMES.index(name) for name in PLAIN.get(family, ())):
            enough = strength[row, a] >= HALF * strength[row, most]
            if bool(enough) and bool(steady[row, a] >= least_trend):
                found[row] = a
                break
    return found


def alone(
    strength: Float[Tensor, "l a"], best: Int[Tensor, " l"]
) -> tuple[Int[Tensor, " l"], Float[Tensor, " l"]]:
    """What moves most outside the family of the best, and the share of that family."""
    most = strength.new_zeros(len(strength), len(FAMILIES))
    most = most.scatter_reduce(1, FAMILY.expand_as(strength), strength, "amax").square()
    own = FAMILY[best]
    rival = strength.where(own[:, None] != FAMILY, -1.0).argmax(1)
    total = most.sum(1)
    return rival, most.gather(1, own[:, None])[:, 0] / total.where(total > 0, 1.0)  # `measured` (3)
