"""Steering: what a picture would mean to the model with some of its concepts changed.

Concepts are changed in the feature space, a' = a + Δ with Δ decoded from the changed slots only
(`Units.lift`), so that what the dictionary cannot say is left as it was, and no change returns
the activations themselves, bit for bit. What follows is told by comparison with sentences:

    Δs_t = cos(ē', t) - cos(ē, t),     ē the model's output                (1)

beside the same change of a random direction of the same length, of which an effect should not come.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. Concept steering.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.codes import CodeEdit
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.intervene.edits import ablate, put, steer, swap
from legenda.types import Acts, Images

WAYS = ("+", "-", "=", "off", "swap")


@dataclass(frozen=True, eq=False)
class Steered:
    """Likeness (b t) to each sentence before and after, and after a random change.

    `delta` (b n d) is what was added to the activations, `random` (s b t) the likeness after the
    same lengths in s random directions.
    """

    texts: tuple[str, ...]
    before: Float[Tensor, "b t"]
    after: Float[Tensor, "b t"]
    random: Float[Tensor, "s b t"]
    delta: Acts

    @property
    def change(self) -> Float[Tensor, "b t"]:
        """Equation (1)."""
        return self.after - self.before


def told(text: str, words: dict[str, int], size: int) -> CodeEdit:
    """An edit as it is typed: `wheel+3`, `12=0`, `car:off` or `wheel>sail`, by name or number."""
    for mark in (">", ":off", "=", "+", "-"):
        left, found, right = text.rpartition(mark)
        if not found or not left:
            continue
        if mark == ">":
            return swap(unit(left, words, size), unit(right, words, size))
        if mark == ":off":
            return ablate(unit(left, words, size))
        by = _number(right, text)
        if mark == "=":
            return put(unit(left, words, size), by)
        return steer(unit(left, words, size), by if mark == "+" else -by)
    raise BadInput(
        f"a change is written wheel+3, wheel-1, wheel=2, wheel:off or wheel>sail, by name or by "
        f"number; it got {text!r}."
    )


def unit(said: str, words: dict[str, int], size: int) -> int:
    """A unit by its name or number."""
    from legenda.errors import near

    plain = said.strip()
    if plain.isdecimal() and int(plain) < size:
        return int(plain)
    found = {word.casefold(): number for word, number in words.items()}.get(plain.casefold())
    if found is None:
        raise BadInput(
            f"there is no concept {plain!r}, which is neither a name nor a number below {size}."
            f"{near(plain, words)}"
        )
    return found


@torch.no_grad()
def steered(
    units: Units,
    x: Images,
    edits: Sequence[CodeEdit],
    texts: Sequence[str],
    draws: int = 8,
    seed: int = 0,
) -> Steered:
    """Change concepts, one edit after the other, and compare with sentences."""
    model: Any = units.model
    sentences = model.embed_text(list(texts))
    acts = model.acts(x)

    def whole(codes: Any) -> Any:
        for edit in edits:
            codes = edit(codes)
        return codes

    changed = units.lift(whole)(acts)
    delta = changed - acts
    lot = torch.Generator().manual_seed(seed)
    length = delta.norm(dim=-1, keepdim=True)

    def like(held: Acts) -> Tensor:
        return normalize(model.run(x, edit=lambda _: held).output, dim=-1) @ sentences.T

    random = []
    for _ in range(draws):
        way = torch.randn(delta.shape[-1], generator=lot).to(delta)
        random.append(like(acts + length * way / way.norm()))
    return Steered(tuple(texts), like(acts), like(changed), torch.stack(random), delta)


def _number(said: str, text: str) -> float:
    try:
        value = float(said)
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), -float("inf")):
        raise BadInput(f"{text!r} needs a finite number at its end; it got {said!r}.")
    return value
