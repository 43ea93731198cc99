"""The network of a CSVAE: convolutions that are shared, and heads that are not.

Encoder: convolutions 4 × 4 of stride 2, down to a side of 4; from there one branch reads z, and
another, which is told y too, reads w; each mean and each log-variance has a head of its own.
Decoder: the same backwards, from z and w. A last branch gives p(w|y).
"""

from math import log2

import torch
from torch import Tensor, nn

from legenda.autoencoders.objective import Code, Told
from legenda.errors import BadInput, Refused
from legenda.types import Images

HIDDEN, WIDE, LEAST = 32, 256, 4
MARK = "told.mean.weight"
"""A weight by which a checkpoint is known."""


class Heads(nn.Module):
    """Mean and log-variance, by heads that share a layer and nothing else."""

    def __init__(self, width: int, latents: int, hidden: int = WIDE):
        super().__init__()
        self.wide = nn.Linear(width, hidden)
        self.mean, self.log_variance = nn.Linear(hidden, latents), nn.Linear(hidden, latents)

    def forward(self, flat: Tensor) -> tuple[Code, Code]:
        wide = self.wide(flat).relu()
        return self.mean(wide), self.log_variance(wide)


class SubspaceNetwork(nn.Module):
    """Pictures to z and w and back, `b c h w, b y -> (b d, b d)`, `b d -> b c h w`.

    Parameters
    ----------
    side: of the pictures: a power of two from 16 on.
    channels: 1 for grey, 3 for colours.
    latents: how many variables, of z and w together; z comes first.
    subspace: how many of them are w; more tell more of what goes with y.
    conditions: numbers told of each picture.
    """

    def __init__(
        self, side: int = 64, channels: int = 3, latents: int = 10, subspace: int = 2,
        conditions: int = 2,
    ):  # fmt: skip
        super().__init__()
        if side < 16 or side & (side - 1) or not 0 < subspace < latents or conditions < 1:
            raise BadInput(
                "SubspaceNetwork needs a side that is a power of two from 16 on, latents beyond "
                f"its subspace of 1 or more, and 1 condition or more; it got side={side}, "
                f"latents={latents}, subspace={subspace}, conditions={conditions}. Change these."
            )
        self.side, self.channels, self.latents = side, channels, latents
        self.subspace, self.conditions = subspace, conditions
        deep, flat = int(log2(side // LEAST)), HIDDEN * LEAST * LEAST
        down, up = [channels] + [HIDDEN] * deep, [HIDDEN] * deep + [channels]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in zip(down, down[1:], strict=False))  # fmt: skip # noqa: E501
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in zip(up, up[1:], strict=False))  # fmt: skip # noqa: E501
        self.rest = Heads(flat, latents - subspace)
        self.told = Heads(flat + conditions, subspace)
        self.guess = Heads(conditions, subspace, HIDDEN)
        self.wide, self.flat = nn.Linear(latents, WIDE), nn.Linear(WIDE, flat)

    def encode(self, x: Images, y: Told | None = None) -> tuple[Code, Code]:
        """Mean and log-variance of z and w; where nothing is told, y is 0."""
        y = x.new_zeros(len(x), self.conditions) if y is None else y
        for layer in self.down:
            x = layer(x).relu()
        flat = x.flatten(1)
        z, w = self.rest(flat), self.told(torch.cat([flat, y], 1))
        return torch.cat([z[0], w[0]], 1), torch.cat([z[1], w[1]], 1)

    def prior(self, y: Told) -> tuple[Code, Code]:
        """p(w|y), as mean and log-variance."""
        return self.guess(y)

    def decode(self, z: Code, y: Told | None = None) -> Images:
        """Colours from 0 to 1; y is in w already."""
        return self.logits(z, y).sigmoid()

    def logits(self, z: Code, y: Told | None = None) -> Images:
        """What the decoder gives before the sigmoid."""
        x = self.flat(self.wide(z).relu()).relu().unflatten(1, (HIDDEN, LEAST, LEAST))
        for i, layer in enumerate(self.up):
            x = layer(x.relu() if i else x)
        return x


def subspace_network(weights: dict[str, Tensor], name: str = "this checkpoint") -> SubspaceNetwork:
    """The network that holds these weights, its shape read off theirs."""
    try:
        deep = len([n for n in weights if n.startswith("down.") and n.endswith(".weight")])
        conditions = weights["guess.wide.weight"].shape[1]
        made = SubspaceNetwork(
            LEAST << deep, weights["down.0.weight"].shape[1], weights["wide.weight"].shape[1],
            len(weights[MARK]), conditions,
        )  # fmt: skip
        made.load_state_dict(weights)
    except (KeyError, IndexError, RuntimeError, BadInput) as problem:
        raise Refused(
            f"{name} holds no CSVAE of `legenda fit-vae`: {' '.join(str(problem).split())[:120]}. "
            "Train it again."
        ) from None
    return made
