"""A prior over tokens: which go together, class by class; it paints, and it fills in.

Some tokens of an image are hidden, and a transformer says for each hidden one which entry it
is likely to be, given the others and the class:

    L = - E mean_{n hidden} log p(t_n | t_shown, class),   share hidden = cos(π u / 2)     (1)

To paint, all are hidden; in each of a few rounds every hidden token is drawn, and the surest
are kept, more of them each round. To fill in, only a region is hidden.

Four tokens, two by two, share one place of the transformer, which makes it sixteen times
cheaper; each of the four has its own embedding and its own head.

References
----------
Chang, Zhang, Jiang, Liu, Freeman. MaskGIT: masked generative image transformer. CVPR 2022.
(1), and painting in rounds.
"""

from dataclasses import dataclass
from math import cos, pi

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from legenda.errors import BadInput, near
from legenda.types import Tokens

CELL = 2


class Block(nn.Module):
    """Attention and a perceptron, each around a norm."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        share = (q @ k.mT * (d // self.heads) ** -0.5).softmax(-1)
        x = x + self.out((share @ v).transpose(1, 2).reshape(b, n, d))
        return x + self.narrow(nn.functional.gelu(self.wide(self.norm2(x))))


class PriorNetwork(nn.Module):
    """Logits of every entry at every position, from tokens of which some are hidden.

    Parameters
    ----------
    entries: size of the codebook; the number `entries` stands for a hidden token.
    classes: number of classes; the number `classes` stands for any.
    grid: rows and columns of tokens, both even.
    width, depth, heads: of the transformer.
    """

    def __init__(
        self,
        entries: int,
        classes: int,
        grid: tuple[int, int],
        width: int = 160,
        depth: int = 6,
        heads: int = 5,
    ):
        super().__init__()
        self.entries, self.grid = entries, grid
        places = grid[0] * grid[1] // CELL**2
        self.embed = nn.Embedding(CELL**2 * (entries + 1), width)
        self.place = nn.Parameter(0.02 * torch.randn(places, width))
        self.kind = nn.Embedding(classes + 1, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CELL**2 * entries)
        nn.init.normal_(self.embed.weight, std=0.1)
        nn.init.normal_(self.kind.weight, std=0.1)

    def forward(self, tokens: Tokens, classes: Int[Tensor, " b"]) -> Float[Tensor, "b n k"]:
        cells = self.cells(tokens)
        shift = torch.arange(CELL**2, device=tokens.device) * (self.entries + 1)
        x = self.embed(cells + shift).sum(2) + self.place + self.kind(classes)[:, None]
        logits = self.head(self.norm(self.blocks(x)))
        return self.uncelled(logits.unflatten(2, (CELL**2, self.entries)))

    def cells(self, tokens: Tokens) -> Int[Tensor, "b p q"]:
        """Tokens, four to a place."""
        rows, columns = self.grid
        split = tokens.view(-1, rows // CELL, CELL, columns // CELL, CELL).transpose(2, 3)
        return split.reshape(len(tokens), -1, CELL**2)

    def uncelled(self, values: Float[Tensor, "b p q k"]) -> Float[Tensor, "b n k"]:
        """Back in the order of the tokens."""
        rows, columns = self.grid
        b, _, _, k = values.shape
        split = values.view(b, rows // CELL, columns // CELL, CELL, CELL, k).transpose(2, 3)
        return split.reshape(b, rows * columns, k)


@dataclass(frozen=True)
class TokenPrior:
    """A trained prior, with the names of its classes."""

    network: PriorNetwork
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    def numbers(self, names: str | list[str] | None, count: int) -> Int[Tensor, " b"]:
        """The number of a class for each of `count` images; None stands for any class."""
        device = self.network.place.device
        if names is None:
            return torch.full((count,), len(self.classes), device=device)
        asked = [names] * count if isinstance(names, str) else names
        for name in asked:
            if name not in self.classes:
                raise BadInput(
                    f"the prior knows no class {name!r}.{near(name, self.classes)} "
                    f"Known: {', '.join(self.classes)}."
                )
        return torch.tensor([self.classes.index(name) for name in asked], device=device)

    @torch.no_grad()
    def log_probabilities(
        self, tokens: Tokens, positions: Int[Tensor, " r"], classes: str | list[str] | None = None
    ) -> Float[Tensor, "b r k"]:
        """Of every entry at each of the positions, all of which are hidden."""
        hidden = tokens.clone()
        hidden[:, positions] = self.network.entries
        logits = self.network(hidden, self.numbers(classes, len(tokens)))
        return logits[:, positions].log_softmax(2)

    @torch.no_grad()
    def fill(
        self,
        tokens: Tokens,
        gone: Bool[Tensor, "b n"],
        classes: str | list[str] | None = None,
        rounds: int = 8,
        heat: float = 1.0,
        seed: int = 0,
    ) -> Tokens:
        """Draw the tokens that are gone, given the others, the surest first.

        Parameters
        ----------
        tokens, gone: what there is, and which of it is to be drawn anew.
        classes: the class of each image, one for all, or any.
        rounds: passes; more make the tokens fit each other better.
        heat: temperature of the order in which tokens are kept; larger is more varied.
        seed: of what is drawn.
        """
        lot = torch.Generator(tokens.device).manual_seed(seed)
        kinds, found = self.numbers(classes, len(tokens)), tokens.clone()
        left, count = gone.clone(), gone.sum(1)
        for turn in range(rounds):
            shown = found.masked_fill(left, self.network.entries)
            chance = self.network(shown, kinds).softmax(2)
            drawn = torch.multinomial(chance.flatten(0, 1), 1, generator=lot).view(tokens.shape)
            sure = chance.gather(2, drawn[..., None])[..., 0].clamp(min=1e-9).log()
            gumbel = torch.empty_like(sure).exponential_(generator=lot).log().neg()
            sure = sure + heat * (1 - (turn + 1) / rounds) * gumbel
            stay = (count * cos(pi / 2 * (turn + 1) / rounds)).floor().long()  # still hidden
            order = sure.masked_fill(~left, torch.inf).argsort(1).argsort(1)
            again = left & (order < stay[:, None])
            found = torch.where(left & ~again, drawn, found)
            left = again
        return found

    def paint(
        self, classes: list[str], rounds: int = 12, heat: float = 2.0, seed: int = 0
    ) -> Tokens:
        """New images, one per class that is named."""
        rows, columns = self.network.grid
        blank = torch.zeros(len(classes), rows * columns, dtype=torch.long)
        blank = blank.to(self.network.place.device)
        return self.fill(blank, torch.ones_like(blank, dtype=torch.bool), classes, rounds, heat, seed)  # fmt: skip # noqa: E501


def hidden(tokens: Tokens, lot: torch.Generator) -> Bool[Tensor, "b n"]:
    """Which tokens equation (1) hides: a share of its own for each image, at least one token."""
    b, n = tokens.shape
    share = torch.cos(pi / 2 * torch.rand(b, 1, generator=lot))
    order = torch.rand(b, n, generator=lot).argsort(1)
    return order < (share * n).ceil().clamp(min=1)
