"""A tiny denoiser whose Jacobian can be written down, for what goes along directions."""

import torch

from legenda.core.model import Run


class Bent:
    """x -> tanh(A x), and the noise it sees is B of that; it samples by halving."""

    name, ref, grid = "bent", "bent", (2, 2)

    def __init__(self, inputs=12, acts=20, seed=0, bend=True):
        lot = torch.Generator().manual_seed(seed)
        left = torch.linalg.qr(torch.randn(acts, inputs, generator=lot)).Q
        right = torch.linalg.qr(torch.randn(inputs, inputs, generator=lot)).Q
        self.strengths = 3 * 0.6 ** torch.arange(inputs)
        self.right, self.matrix = right, left * self.strengths @ right.T
        self.out = torch.randn(inputs, acts, generator=lot) / 4
        self.bend, self.sampled = bend, 0

    def acts(self, x):
        h = x.flatten(1) @ self.matrix.T
        return (h.tanh() if self.bend else h).unflatten(1, (4, -1))

    def run(self, x, edit=None):
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, (acts.flatten(1) @ self.out.T).unflatten(1, x.shape[1:]))

    def sample(self, x):
        self.sampled += len(x)
        return x / 2

    def visible(self, x):
        return (x + 0.5).clamp(0, 1)


def some(count, seed=0):
    return torch.randn(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed)) / 3
