"""Directions by the pullback metric: which ways from x_t change most of what the network sees.

Between noisy pictures x and the acts h = f(x) at a site of the network lies the Jacobian
J = ∂f / ∂x. The length that a step v has in h, ‖J v‖, is the metric that h pulls back to x. Its
longest directions are the right singular vectors of J,

    J = U Σ Vᵀ,      J v_i = σ_i u_i                                      (1)

found without J: a block of orthonormal V is carried there and back, W = Jᵀ(J V), turned to its
Ritz vectors by the small eigenproblem of Vᵀ W = Q Λ Qᵀ, σ_i² = λ_i, measured by its residuals

    max_i ‖W q_i - λ_i V q_i‖ / λ_i,                                      (2)

and orthogonalised anew. Jᵀu is a gradient; J v is the gradient of ⟨Jᵀw, v⟩, which is linear in w,
so that one forward pass serves all rounds. `shared` takes for J the Jacobians of all rows, one
above the other: then v_i means the same in every row, and is one unit. `walk` goes along them.

Differs from the official code: bases are shared by default, theirs are one for each picture
(`shared=False`); V is turned to Ritz vectors in every round, so that strengths and residuals are
those of single directions; signs are fixed: the largest entry of v is positive.

References
----------
Park, Kwon, Choi, Jo, Uh. Understanding the latent space of diffusion models through the lens of
Riemannian geometry. NeurIPS 2023. The metric; (1) by power iteration.
Saad. Numerical methods for large eigenvalue problems. 2011. Subspace iteration with projection.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import interpolate

from legenda.core.model import Model
from legenda.errors import BadInput, Refused
from legenda.types import Acts, Images

Block = Float[Tensor, "g e k"]


@dataclass(frozen=True)
class Basis:
    """Directions in x, one basis for all rows (g = 1) or one for each (g = r).

    Parameters
    ----------
    directions: orthonormal, strongest first.
    strengths: σ; larger changes the acts more, per length in x; of a shared basis, root mean
        square over rows.
    residuals: (2) of each; smaller is nearer to (1).
    rounds: how often the block went there and back.
    converged: whether (2) came below the tolerance.
    """

    directions: Float[Tensor, "g k c h w"] = field(repr=False)
    strengths: Float[Tensor, "g k"] = field(repr=False)
    residuals: Float[Tensor, "g k"] = field(repr=False)
    rounds: int
    converged: bool


class Tangent:
    """The Jacobian of x -> acts at some x, used from both sides and never written down."""

    def __init__(self, model: Model[Images], x: Images):
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # others have no second derivative
            self.x = x.detach().clone().requires_grad_()
            self.acts = model.acts(self.x)
            self.probe = torch.zeros_like(self.acts).requires_grad_()
            (self.back,) = torch.autograd.grad(self.acts, self.x, self.probe, create_graph=True)

    def push(self, v: Images) -> Acts:
        """J v, each row by its own Jacobian."""
        return torch.autograd.grad(self.back, self.probe, v, retain_graph=True)[0]

    def pull(self, u: Acts) -> Images:
        """Jᵀ u, row by row."""
        return torch.autograd.grad(self.acts, self.x, u, retain_graph=True)[0]


@dataclass(frozen=True)
class Pullback:
    """Strongest directions from x_t, `b c h w -> Basis`.

    Parameters
    ----------
    count: how many directions.
    spare: columns more than that in the block; more converge in fewer rounds, which cost more.
    tolerance: of the residuals (2); smaller is nearer to (1).
    most: rounds after which it stops, converged or not.
    shared: one basis for all rows, rather than one for each.
    seed: of the start; where strengths are apart, it changes nothing.
    """

    count: int = 5
    spare: int = 5
    tolerance: float = 1e-3
    most: int = 50
    shared: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.count, self.most) < 1 or self.spare < 0 or not self.tolerance > 0:
            raise BadInput(
                f"Pullback needs a direction, a round, a tolerance above 0 and no fewer than 0 "
                f"spare columns; it got count={self.count}, most={self.most}, "
                f"tolerance={self.tolerance}, spare={self.spare}."
            )

    def __call__(self, model: Model[Images], x: Images) -> Basis:
        """The basis at x."""
        size, groups = x[0].numel(), 1 if self.shared else len(x)
        if self.count > size:
            raise BadInput(
                f"Pullback was asked for {self.count} directions of pictures with {size} numbers. "
                "Ask for fewer."
            )
        tangent, block = Tangent(model, x), min(self.count + self.spare, size)
        w, rounds, worst = orthonormal(groups, size, block, self.seed).to(x), 0, float("inf")
        while rounds < self.most and worst > self.tolerance:
            v = torch.linalg.qr(w).Q
            w = felt(self._there_and_back(tangent, v), model.name)
            v, w, squares, residuals = ritz(v, w)
            rounds, worst = rounds + 1, float(residuals[:, : self.count].max())
        kept = signed(v[..., : self.count]).mT.unflatten(2, x.shape[1:]).contiguous()
        strengths = squares[:, : self.count].clamp(min=0).sqrt()
        return Basis(kept, strengths, residuals[:, : self.count], rounds, worst <= self.tolerance)

    def _there_and_back(self, tangent: Tangent, v: Block) -> Block:
        """Jᵀ J V, a column at a time; where rows share V, the mean over rows."""
        columns, like = [], tangent.x
        for column in v.unbind(2):
            step = column.unflatten(1, like.shape[1:]).expand_as(like).contiguous()
            back = tangent.pull(tangent.push(step)).flatten(1)
            columns.append(back.mean(0, keepdim=True) if self.shared else back)
        return torch.stack(columns, 2)


def felt(w: Block, name: str) -> Block:
    """Refuse a Jacobian that carries nothing there and back, or nothing finite."""
    if not w.isfinite().all() or not w.flatten(1).any(1).all():
        raise Refused(
            f"the acts of {name} do not change with x, or not finitely, so that no direction is "
            "stronger than another. Open it at another site or time."
        )
    return w


def ritz(v: Block, w: Block) -> tuple[Block, Block, Float[Tensor, "g k"], Float[Tensor, "g k"]]:
    """V and W turned to Ritz vectors, with λ and the residuals of (2), strongest first."""
    small = (v.mT @ w).double()
    values, turn = torch.linalg.eigh((small + small.mT) / 2)
    values, turn = values.flip(1), turn.flip(2).to(v)
    v, w = v @ turn, w @ turn
    off = (w - v * values[:, None].to(v)).norm(dim=1)
    return v, w, values, off / values.clamp(min=torch.finfo(v.dtype).tiny).to(v)  # (2)


def orthonormal(groups: int, size: int, count: int, seed: int = 0) -> Block:
    """Random orthonormal columns: where power iteration starts, and its control."""
    lot = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(groups, size, count, generator=lot)).Q


def signed(v: Block) -> Block:
    """Each column, or its opposite, so that its largest entry is positive."""
    top = v.gather(1, v.abs().argmax(1, keepdim=True))
    return v * top.sign()


def random_basis(x: Images, count: int = 5, seed: int = 0) -> Basis:
    """A control: directions by lot, of the same length and as orthonormal."""
    return _by_lot(orthonormal(1, x[0].numel(), count, seed), x)


def smooth_basis(x: Images, count: int = 5, seed: int = 0, coarse: int = 4) -> Basis:
    """A harder control: directions by lot that change whole regions of x alike.

    `coarse`: values drawn along each side, enlarged to that of x; smaller is smoother.
    """
    lot = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, x.shape[1], coarse, coarse, generator=lot)
    drawn = interpolate(drawn, size=x.shape[2:], mode="bilinear", align_corners=False)
    if count > x.shape[1] * min(coarse, x.shape[2]) * min(coarse, x.shape[3]):
        raise BadInput(
            f"there are no {count} directions apart among {x.shape[1]} maps of {coarse} × {coarse} "
            "values. Ask for fewer, or for a larger `coarse`."
        )
    return _by_lot(torch.linalg.qr(drawn.flatten(1).T[None]).Q, x)


def _by_lot(columns: Block, x: Images) -> Basis:
    drawn = signed(columns).mT.unflatten(2, x.shape[1:]).to(x)
    none = torch.full((1, drawn.shape[1]), torch.nan)
    return Basis(drawn.contiguous(), none, none, 0, False)
