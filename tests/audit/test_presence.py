import torch

from legenda.audit.presence import Presence, shuffled, standing
from tests.audit.worlds import world


def test_whole_numbers_stand_as_they_are_counted():
    side = torch.tensor([0, 0, 1, 0, 1, 1])
    margins = torch.tensor([3.0, 1.0, 9.0, 3.0, 9.0, 9.5])
    assert standing(margins, side).tolist() == [1, -2, -1, 1, -1, 2]
    mixed = shuffled(torch.arange(6), side, torch.Generator().manual_seed(0))
    assert {*mixed[side == 0].tolist()} == {0, 1, 3} and {*mixed[side == 1].tolist()} == {2, 4, 5}
    tokens = torch.tensor([[7, 7], [7, 2], [2, 2], [2, 5], [7, 5], [5, 5]])
    held = Presence(tokens, side, 1, True)
    assert held.ids.tolist() == [2, 5, 7]
    assert held.present.tolist() == [[2, 1], [1, 2], [2, 1]]
    assert held.won(standing(margins, side)).tolist() == [[-1, -1], [1, 1], [-1, -1]]


def test_it_keeps_what_a_full_array_of_images_and_tokens_holds():
    tokens, labels, margins = world(count=60)
    side = torch.tensor([["cat", "dog"].index(label) for label in labels])
    d = standing(margins, side)
    for every in (True, False):
        held = Presence(tokens, side, 14, every)
        full = (tokens[:, :, None] == torch.arange(40)).any(1)
        present = torch.stack([full[side == c].sum(0) for c in (0, 1)], 1)
        enough = (present >= 14) & (30 - present >= 14)
        kept = (enough.all(1) if every else enough.any(1)).nonzero()[:, 0]
        assert torch.equal(held.ids, kept) and torch.equal(held.present, present[kept])
        won = torch.stack([(full * d[:, None])[side == c].sum(0) for c in (0, 1)], 1)
        assert torch.equal(held.won(d), (won * enough)[kept])
        assert torch.equal(held.pairs, (present * (30 - present) * enough)[kept])
    assert len(Presence(tokens, side, 14, False).ids) > len(Presence(tokens, side, 14, True).ids)
