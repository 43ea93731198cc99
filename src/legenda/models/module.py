"""Any `nn.Module`, opened at a dotted site: the adapter of last resort, and often enough."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from legenda.core.hooks import output_of, rewriting
from legenda.core.model import Edit, Rerun, Run, prefix_of
from legenda.errors import Missing, Refused, near
from legenda.models.layout import Layout, taken
from legenda.models.loading import in_float32
from legenda.models.sharing import Given, sharing_copy
from legenda.types import Acts


def module_at(root: nn.Module, site: str) -> nn.Module:
    """The submodule at a dotted path; an unknown path suggests near ones."""
    names = dict(root.named_modules())
    if site not in names:
        raise Missing(
            f"{type(root).__name__} has no site {site!r}.{near(site, names)} "
            "List its sites with `legenda models MODEL --sites`."
        )
    return names[site]


class ModuleModel:
    """A module opened at a dotted site, `b c h w -> b n d`.

    Parameters
    ----------
    module: the network; it must already be in the mode it is to be read in.
    site: dotted name of the submodule to open.
    special: positions that are no part of the picture, such as a class token.
    field: which entry of the site's return value holds the acts, where it returns several.
    output: what to read from the network's return value; by default its first tensor.
    name, ref: short name, and what a worker needs to open it again.
    example: a batch to check the model with; skips the check where it is None.
    """

    def __init__(
        self,
        module: nn.Module,
        site: str,
        *,
        special: tuple[int, ...] = (),
        field: str | int | None = None,
        output: Callable[[Any], Tensor] | None = None,
        name: str = "",
        ref: str = "",
        example: Tensor | None = None,
    ):
        in_float32(module, name or type(module).__name__)
        self.module, self.site = module, site
        self.opened = module_at(module, site)
        self.layout, self.special_positions = Layout(field), special
        self.pick, self.example = output or Layout().tensor, example
        self.name = name or type(module).__name__.lower()
        self.ref = ref or f"{self.name}@{site}"
        self.grid: tuple[int, int] | None = None
        self._suffix = split_sequence(module, site)
        if example is not None:
            weight = next(module.parameters(), None)
            example = example if weight is None else example.to(weight.device)
            self.grid = self._grid(example)
            self_check(self, example)

    def parameters(self) -> list[nn.Parameter]:
        return list(self.module.parameters())

    def at(self, site: str | int) -> "ModuleModel":
        """The same module, opened at another site; its grid is found at the first run."""
        return ModuleModel(
            self.module, str(site), special=self.special_positions, field=self.layout.field,
            output=self.pick, name=self.name, ref=f"{self.ref.rpartition('@')[0]}@{site}",
            example=self.example,
        )  # fmt: skip

    def acts(self, x: Tensor) -> Acts:
        return self.layout.read(output_of(self.opened, lambda: self.module(x)))

    def run(self, x: Tensor, edit: Edit | None = None) -> Run:
        return lazily(self.opened, self.layout, lambda: self.module(x), self.pick, edit)

    def prefix(self, x: Tensor) -> "Rerun | SplitPrefix":
        """Its acts, once. Resuming skips what comes before the site in its `nn.Sequential`;
        elsewhere it cannot know where to split, and reruns the whole network.
        """
        with torch.no_grad():
            out = output_of(self.opened, lambda: self.module(x))
            acts = self.layout.read(out)
        special = torch.zeros(acts.shape[:2], dtype=torch.bool, device=acts.device)
        special[:, list(self.special_positions)] = True
        valid = torch.ones_like(special)
        if self._suffix is None:
            return Rerun(self, x, acts, special, valid)
        return SplitPrefix(self, x, acts, special, valid, out)

    def _grid(self, example: Tensor) -> tuple[int, int] | None:
        with torch.no_grad():
            out = output_of(self.opened, lambda: self.module(example))
        tensor = self.layout.tensor(out)
        if tensor.ndim == 4:
            return int(tensor.shape[2]), int(tensor.shape[3])
        count = self.layout.read(out).shape[1] - len(self.special_positions)
        return _rectangle(count, example)


def lazily(
    site: nn.Module,
    layout: Layout,
    forward: Callable[[], Any],
    pick: Callable[[Any], Tensor],
    edit: Edit | None,
) -> Run:
    """A run that goes no further than it is read, by the network's own forward pass.

    Reading `output` first is one whole pass; reading `acts` first stops at the site, and
    what was found there, edited once, is written back if the output is read later.
    """
    held: list[Acts] = []

    def edited(out: Any) -> Acts:
        if not held:
            found = layout.read(out).clone()  # what follows may work in place
            held.append(found if edit is None else edit(found))
        return held[0]

    def acts() -> Acts:
        return held[0] if held else edited(output_of(site, forward))

    def output() -> Tensor:
        passes = 0

        def rewrite(out: Any) -> Any:
            nonlocal passes
            passes += 1
            if passes > 1:
                raise Refused(
                    f"a site must be passed once in a run; this {type(site).__name__} is passed "
                    "more often. Choose another site, such as a module around one use of it."
                )
            fresh = not held
            acts = edited(out)
            return out if edit is None and fresh else layout.write(out, acts)

        with rewriting(site, rewrite):
            return pick(forward())

    return Run(acts, output)


@dataclass(frozen=True)
class SplitPrefix:
    """The acts at a site inside an `nn.Sequential`; `out` shows how the site returns them."""

    model: ModuleModel
    x: Tensor
    acts: Acts
    special: Bool[Tensor, "b n"]
    valid: Bool[Tensor, "b n"]
    out: Any

    def resume(self, acts: Float[Tensor, "r n d"], rows: Int[Tensor, " r"]) -> Tensor:
        root, start = self.model._suffix or (self.model.module, Given())
        start.acts = self.model.layout.write(taken(self.out, rows, len(self.x)), acts)
        try:
            return self.model.pick(root(self.x[rows]))
        finally:
            start.acts = None


def split_sequence(module: nn.Module, site: str) -> tuple[nn.Module, Given] | None:
    """The rest of a network after a site in an `nn.Sequential`; None where it is in none.

    The structure is copied, weights are shared; the site and all before it in its sequence
    give way to a module that returns what it was given.
    """
    parent, _, leaf = site.rpartition(".")
    if not isinstance(module.get_submodule(parent), nn.Sequential):
        return None
    root, start = sharing_copy(module), Given(module_at(module, site))
    sequence = root.get_submodule(parent)
    for name, _ in list(sequence.named_children()):
        sequence._modules[name] = start if name == leaf else nn.Identity()
        if name == leaf:
            return root, start
    return None


def _rectangle(count: int, example: Tensor) -> tuple[int, int] | None:
    """The grid of `count` patches with the proportions of the image; None for words."""
    if example.ndim != 4:
        return None
    h, w = example.shape[-2:]
    for rows in range(1, count + 1):
        if count % rows == 0 and rows * w == count // rows * h:
            return rows, count // rows
    raise Refused(
        f"{count} positions do not make a grid with the proportions of a {h}x{w} image. "
        "Declare the special tokens (for instance `special=(0,)` for a class token)."
    )


@dataclass(frozen=True)
class Checked:
    """What a self-check found: shapes, for `legenda models`."""

    acts: tuple[int, ...]
    output: tuple[int, ...]


def self_check(model: Any, x: Tensor) -> Checked:
    """Refuse a model whose site cannot be trusted: not repeatable, not upstream, not finite."""
    with torch.no_grad():
        first, second = model.run(x), model.run(x)
        acts, output = first.acts, first.output
        if not acts.isfinite().all() or not output.isfinite().all():
            raise Refused(
                f"{model.name} gives numbers that are not finite at {model.ref}. "
                "Check its weights and its precision."
            )
        if not torch.equal(output, second.output):
            raise Refused(
                f"{model.name} gives two answers to one input (dropout?). "
                "Call `.eval()` on it before opening."
            )
        if not torch.equal(model.run(x, edit=lambda a: a).output, output):
            raise Refused(
                f"{model.name} changes its output when its acts at {model.ref} are written back "
                "unchanged. Open it at another site."
            )
        if torch.equal(model.run(x, edit=torch.zeros_like).output, output):
            raise Refused(
                f"the output of {model.name} does not depend on the site {model.ref}. "
                "Open it at a site before the output."
            )
        resumed = prefix_of(model, x).resume(acts, torch.arange(len(x), device=x.device))
        if (resumed - output).abs().max() > 1e-3 * output.abs().max():
            raise Refused(
                f"{model.name} gives another output when its pass is resumed at {model.ref}. "
                "Open it at another site."
            )
    return Checked(tuple(acts.shape), tuple(output.shape))
