"""Activations in which named things are planted, and a person who clicks by a rule."""

import numpy as np
import torch

from legenda.dictionaries.compass import Compass


def lot_of(seed):
    return torch.Generator().manual_seed(seed)


def labelled_rows(count=400, width=8, seed=0, shift=2.0, nuisance=3.0):
    """Gaussian rows (b 1 d); label 0 moves them along axis 0, label 1 along (1, 2) halfway.

    Axis 0 goes with axis 3 whatever the label, and axis 3 is wide: what reads label 0 best is not
    where it moves to.
    """
    lot = lot_of(seed)
    labels = torch.rand(count, 2, generator=lot) < torch.tensor([0.5, 0.3])
    rows = torch.randn(count, width, generator=lot)
    common = nuisance * torch.randn(count, generator=lot)
    rows[:, 0] += common + shift * labels[:, 0]
    rows[:, 3] += common
    rows[:, 1] += shift * labels[:, 1] / 2**0.5
    rows[:, 2] += shift * labels[:, 1] / 2**0.5
    return rows[:, None], labels


def factor_world(count=900, width=10, seed=0):
    """Four independent factors (n f), read by a bent and mixed encoder into rows (n d).

    Each factor bends along its own direction, four more vary by themselves; what is left of the
    width is a little noise, as in an autoencoder with latents that sleep.
    """
    lot = lot_of(seed)
    factors = torch.rand(count, 4, generator=lot, dtype=torch.float64) * 2 - 1
    turn = torch.linalg.qr(torch.randn(width, width, generator=lot, dtype=torch.float64)).Q
    bent = torch.stack([(1.5 * factors[:, i]).tanh() for i in range(4)], 1)
    bent[:, 0] += 0.3 * factors[:, 0].pow(2) * factors[:, 1]
    rows = 1.6 * bent @ turn[:4]
    rows += torch.randn(count, 4, generator=lot, dtype=torch.float64) @ turn[4:8]
    return rows + 0.05 * torch.randn(rows.shape, generator=lot, dtype=torch.float64), factors


def correlation(a, b):
    return float(np.corrcoef(np.asarray(a, float), np.asarray(b, float))[0, 1])


class Person:
    """Says yes where a factor is above its median; now and then says the other thing."""

    def __init__(self, factor, wrong, seed):
        self.above = np.asarray(factor) > np.median(factor)
        self.wrong, self.lot = wrong, np.random.default_rng(10_000 + seed)

    def says(self, picture):
        return bool(self.above[picture]) != bool(self.lot.random() < self.wrong)


def guided(acts, factors, fresh, truth, which, by, seed, clicks=40, wrong=0.1):
    """A person's clicks: |corr| with the factor after each, and the largest |corr| with others."""
    compass, person, curve = Compass(acts, by, seed=seed), Person(factors[:, which], wrong, seed), []  # fmt: skip # noqa: E501
    read = np.zeros(len(fresh))
    for _ in range(clicks):
        picture = compass.next()
        compass.label(picture, person.says(picture))
        if len(set(compass.labels.values())) == 2:
            read = compass.direction().encode(fresh[:, None].float()).dense()[:, 0, 0].numpy()
            curve.append(abs(correlation(read, truth[:, which])))
        else:
            curve.append(0.0)
    others = [i for i in range(truth.shape[1]) if i != which]
    return curve, max(abs(correlation(read, truth[:, i])) for i in others)


def needed(curve, wanted=0.8):
    """Clicks until the wanted correlation; one more than there were, where it never came."""
    return next((i + 1 for i, r in enumerate(curve) if r >= wanted), len(curve) + 1)
