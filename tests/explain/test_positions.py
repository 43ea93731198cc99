import pytest
import torch

from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import Unsupported
from legenda.explain.positions import cells, normal, place_of, readers, slope
from legenda.explain.saliency import Saliency
from tests.explain.toys import IDS, Looks, mixed, pictures, sentence_units, tiny_clip


def test_every_pixel_belongs_to_one_cell_even_if_they_do_not_divide():
    found = cells(10, 4)
    assert (found.sum(0) == 1).all()
    assert found.sum(1).tolist() == [3, 2, 3, 2]
    assert (found.argmax(0).diff() >= 0).all()


def test_totals_lose_nothing():
    units, x = mixed(), pictures()
    place = place_of(units, x, Logit(0), "input")
    rows = torch.arange(3)
    torch.testing.assert_close(place.total(x, rows).sum(1), x.sum((1, 2, 3)))


def test_a_share_of_a_position_is_a_share_of_each_of_its_pixels():
    place = place_of(mixed(), pictures(), Logit(0), "input")
    keep = torch.rand(5, 16)
    shares = place.kept(keep)
    assert shares.shape == (5, 1, 16, 16)
    torch.testing.assert_close(shares[:, 0, ::4, ::4].flatten(1), keep)
    torch.testing.assert_close(shares[:, 0, 3::4, 3::4].flatten(1), keep)


def test_the_place_of_words_is_the_site_and_blanks_leave_special_tokens_alone():
    place = place_of(sentence_units(), IDS, Logit(0), "input")
    blank = place.blank(torch.arange(2))
    assert torch.equal(blank[~place.drawn], place.value[~place.drawn])
    torch.testing.assert_close(blank[1, 1], place.value[1, 1:3].mean(0))
    assert torch.equal(blank[1, 1], blank[1, 2])


def test_slopes_are_each_rows_own_and_leave_nothing_behind():
    units, x = mixed(), pictures()
    place = place_of(units, x, Logit(0), "input")
    with torch.inference_mode(False), torch.no_grad():
        all_at_once = slope(place, x, torch.arange(3))
    one = x[1:2].clone().requires_grad_()
    (alone,) = torch.autograd.grad(units.model.run(one).output[0, 0], [one])
    torch.testing.assert_close(all_at_once[1:2], alone)
    assert all(p.grad is None for p in units.model.parameters())


def test_normal_noise_does_not_depend_on_what_follows():
    assert torch.equal(normal((3, 5, 7), 1), normal((9, 5, 7), 1)[:3])
    assert not torch.equal(normal((3, 5), 1), normal((3, 5), 2))


def test_the_output_is_read_at_the_pooled_position():
    dual = tiny_clip()
    ids = dual.ids(["a red boat", "a blue tree and a boat on sand"])
    read = readers(dual.text, ids, dual.text.prefix(ids))
    assert torch.equal(read.argmax(1), dual.words.ends(ids))
    assert (read.sum(1) == 1).all()
    model, x = Looks(), pictures()
    assert (readers(model, x, model.prefix(x))[:, 0] == 1).all()
    plain = mixed().model
    assert torch.equal(readers(plain, x, plain.prefix(x)), torch.full((3, 16), 1 / 16))


def test_pixels_need_a_grid():
    units = mixed()
    units.model.grid = None
    with pytest.raises(Unsupported) as refused:
        Saliency()(Units(units.model, units.dictionary), pictures(), Logit(0))
    assert str(refused.value) == (
        "An attribution to pixels needs a model with a grid; toy has none. "
        "Open the model with an example image, or attribute at the site (`at='site'`)."
    )
