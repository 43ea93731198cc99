"""A concept model: tokens in, concepts out, opened at the token embeddings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from legenda.core.codebook import Codebook
from legenda.core.model import Edit, Embedded, Run
from legenda.errors import BadInput, Refused, near
from legenda.types import Acts, Images, Tokens


@dataclass(frozen=True)
class ConceptModel:
    """A classifier of token grids as a model, `b n -> b n d` at its site, logits at its end.

    Its input is tokens (b n); pictures (b c h w) too, where it is given a `tokenize`.

    Parameters
    ----------
    root: the classifier, from embeddings on their grid (b d y x) to logits (b c).
    codebook: what the tokens stand for.
    concepts: the name of each logit.
    grid: rows and columns of tokens.
    tokenize: pictures to tokens.
    name, ref: short name, and what tells it from others.
    """

    root: nn.Module
    codebook: Codebook
    concepts: tuple[str, ...]
    grid: tuple[int, int]
    tokenize: Callable[[Images], Tokens] | None = field(default=None, repr=False)
    name: str = "concepts"
    ref: str = "concepts"

    def __post_init__(self) -> None:
        self.root.eval().requires_grad_(False)
        if not all(p.isfinite().all() for p in self.root.parameters()):
            raise Refused(f"{self.name} holds weights that are not finite. Train it again.")

    def number(self, concept: str) -> int:
        """The logit of a concept; unknown names suggest near ones."""
        if concept not in self.concepts:
            raise BadInput(
                f"{self.name} knows no concept {concept!r}.{near(concept, self.concepts)} "
                f"Known: {', '.join(self.concepts)}."
            )
        return self.concepts.index(concept)

    def tokens(self, x: Tensor) -> Tokens:
        """The tokens of an input, which may be tokens already."""
        if x.ndim == 2:
            return x
        if self.tokenize is None:
            raise BadInput(
                f"{self.name} reads tokens (b n); it got pictures {tuple(x.shape)} and has no "
                "tokenizer. Give `tokenize=vq.tokens`."
            )
        return self.tokenize(x)

    def acts(self, x: Tensor) -> Acts:
        return self.codebook.embed(self.tokens(x))

    def run(self, x: Tensor, edit: Edit | None = None) -> Run:
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, lambda: self.logits(acts))

    def prefix(self, x: Tensor) -> Embedded:
        """The embedded tokens; resuming is the whole classifier."""
        return Embedded(self.acts(x), self.logits)

    def logits(self, acts: Acts) -> Tensor:
        """The classifier alone."""
        return self.root(acts.mT.unflatten(2, self.grid))

    @torch.no_grad()
    def classify(self, tokens: Tokens, batch: int = 256) -> Tensor:
        """Logits of many token grids."""
        return torch.cat([self.logits(self.codebook.embed(t)) for t in tokens.split(batch)])


def top_shares(logits: Tensor, labels: Tensor, ranks: Sequence[int] = (1, 3, 5)) -> dict[int, Tensor]:  # fmt: skip # noqa: E501
    """Whether the right concept is among the first so many, for each input."""
    right = logits.gather(1, labels[:, None])
    place = (logits > right).sum(1) + ((logits == right).sum(1) - 1)  # a tie counts against us
    return {rank: place < rank for rank in ranks if rank <= logits.shape[1]}
