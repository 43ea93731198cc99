"""Literal slow twins of sparse autoencoders, rows to learn from, and one that is easily killed."""

from dataclasses import dataclass

import torch


def drawn(count=200, width=12, seed=0):
    """Rows of no particular shape."""
    lot = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=lot) + torch.linspace(-1, 1, width)


def stirred(learner, rows, seed=0):
    """A dictionary in which nothing is zero or alike by accident; atoms keep their length."""
    module = learner.begin(rows, seed)
    lot = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=lot)
        module.decoder /= module.decoder.norm(dim=1, keepdim=True)
    return module


def readings(module, rows):
    """a_i = e_i · (x - b) + c_i, one at a time."""
    units = list(zip(module.encoder, module.offset, strict=True))
    found = [torch.stack([(e * (x - module.bias)).sum() + c for e, c in units]) for x in rows]
    return torch.stack(found)


def ranked(values):
    """Places from the largest value to the smallest; of equal ones the first."""
    return sorted(range(len(values)), key=lambda i: (-float(values[i]), i))


def top_k(a, k):
    """The k largest of each row that are above 0."""
    z = torch.zeros_like(a)
    for r, row in enumerate(a):
        for i in ranked(row.detach())[:k]:
            z[r, i] = row[i].relu()
    return z


def batch_top_k(a, count):
    """The `count` largest of all that are above 0."""
    flat = a.flatten()
    z = torch.zeros_like(flat)
    for i in ranked(flat.detach())[:count]:
        z[i] = flat[i].relu()
    return z.view(a.shape)


def nested_loss(module, rows, z, groups, shares):
    """Σ_g w_g mean_r ‖x - x̂_≤g‖², and what is left."""
    guess, total, start = module.bias.expand(rows.shape), torch.zeros(()), 0
    for size, share in zip(groups, shares, strict=True):
        part = slice(start, start + size)
        guess = guess + z[:, part] @ module.decoder[part]
        total = total + share * (rows - guess).square().sum(1).mean()
        start += size
    return total, rows - guess


def aux_loss(module, rows, left, dead, most):
    """Mean ‖e - ê‖² over the variance of e, ê by the `most` strongest dead units of each row."""
    e = left.detach()
    a = readings(module, rows)
    z = torch.zeros_like(a)
    for r, row in enumerate(a):
        found = [i for i in ranked(row.detach()) if dead[i]][:most]
        for i in found:
            z[r, i] = row[i].relu()
    return (e - z @ module.decoder).square().sum(1).mean() / (e - e.mean(0)).square().sum(1).mean()


def gradients(value, module):
    """Of all parameters, by name."""
    named = dict(module.named_parameters())
    found = torch.autograd.grad(value, list(named.values()))
    return dict(zip(named, found, strict=True))


def agree(ours, theirs, module):
    """Two losses have one value and one gradient, to 1e-5 of the largest entry."""
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    fast, slow = gradients(ours, module), gradients(theirs, module)
    for name in slow:
        size = float(slow[name].abs().max())
        assert size > 0, f"the twin teaches {name} nothing"
        torch.testing.assert_close(fast[name], slow[name], rtol=1e-5, atol=1e-5 * size)


@dataclass
class Source:
    """Rows by number; from step `bad` on they hold a NaN."""

    width: int = 12
    count: int = 100_000
    bad: int | None = None
    key: str = "drawn"

    def batch(self, step, size, seed):
        rows = drawn(size, self.width, 1000 * seed + step)
        if self.bad is not None and step >= self.bad:
            rows[3, 1] = torch.nan
        return rows
