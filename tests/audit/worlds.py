"""Small worlds of token grids, two classes and a margin, with or without a planted shortcut."""

import torch

CLASSES = ("cat", "dog")
OBJECTS, SHORTCUTS = range(4), range(10, 13)


def evenly(side, share, lot):
    """A choice of images, of each class the same share."""
    chosen = torch.zeros(len(side), dtype=torch.bool)
    for rows in ((side == 0).nonzero()[:, 0], (side == 1).nonzero()[:, 0]):
        chosen[rows[torch.randperm(len(rows), generator=lot)[: int(share * len(rows))]]] = True
    return chosen


def world(seed=0, count=240, push=0.0, quality=0.0, kinds=40, cells=24):
    """Grids, labels and margins.

    Tokens 0 and 1 are cat's, 2 and 3 dog's, and the margin rises with each cell of the one
    and falls with the other. Tokens 10 to 12 are in a third of each class's images and push
    the margin towards cat by `push`. Token 20, in half of each class's images, shows a clear
    picture: by `quality` it moves the margin towards the true class. Others do nothing.
    """
    lot = torch.Generator().manual_seed(seed)
    side = torch.arange(count) % 2
    tokens = torch.randint(21, kinds, (count, cells), generator=lot)
    own = torch.randint(2, (count, 6), generator=lot) + 2 * side[:, None]
    tokens[:, :6] = own.where(torch.rand(count, 6, generator=lot) < 0.5, tokens[:, :6])
    coloured, clear = evenly(side, 1 / 3, lot), evenly(side, 1 / 2, lot)
    tokens[coloured, 6:9] = torch.arange(10, 13)
    tokens[clear, 9] = 20
    margins = torch.randn(count, generator=lot) + push * coloured
    margins += 0.6 * ((tokens < 2).sum(1) - ((tokens == 2) | (tokens == 3)).sum(1))
    margins += quality * clear * (1 - 2 * side)
    return tokens, [CLASSES[s] for s in side.tolist()], margins


def margin_of(push):
    """The margin as a function of tokens alone, without noise."""

    def margins(tokens):
        own = 0.6 * ((tokens < 2).sum(1) - ((tokens == 2) | (tokens == 3)).sum(1))
        return own + push * (tokens == 11).any(1)

    return margins
