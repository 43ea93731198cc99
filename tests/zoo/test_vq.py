import numpy as np
import torch

from legenda.zoo.scenes import draw
from legenda.zoo.vq.close_up import close_up, picture_of
from legenda.zoo.vq.network import VQNetwork


def test_a_close_up_shows_its_thing_where_it_says():
    for seed in range(30):
        found = close_up(seed)
        assert found.image.shape == (32, 32, 3)
        thing, image = picture_of(seed)
        assert np.array_equal(found.image, image), "training sees the same pixels"
        assert found.thing == thing
        assert found.thing in draw(seed, 3).things
        assert found.seen.any(), "the thing is in the window"
        rows, columns = np.nonzero(found.seen)
        assert abs(rows.mean() - 15.5) < 14
        assert abs(columns.mean() - 15.5) < 14


def test_the_network_halves_and_doubles():
    net, x = VQNetwork(width=16, depth=1, codes=8, dim=4), torch.rand(2, 3, 32, 32)
    z = net.encode(x)
    assert z.shape == (2, 4, 16, 16)
    assert net.decode(z).shape == x.shape
