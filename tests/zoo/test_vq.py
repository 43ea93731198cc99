"""`zoo:vq`: what ships can be opened and does what its card says; its recipe can be resumed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from legenda import open as open_model
from legenda.core.codebook import Codebook
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput, Missing
from legenda.explain.token_importance import TokenImportance
from legenda.models.vq import laid
from legenda.zoo.scenes import draw
from legenda.zoo.vq import data, judge_recipe, recipe
from legenda.zoo.vq.close_up import close_up, picture_of
from legenda.zoo.vq.data import CONCEPTS, Batches, Pictures, close_ups, mixed, photographs
from legenda.zoo.vq.judges import mobilenet, small_cnn
from legenda.zoo.vq.network import VQNetwork
from legenda.zoo.vq.recipe import autoencode, revive
from legenda.zoo.vq.shipped import concept_model, open_vq
from legenda.zoo.vq.shortcut import KINDS, TIED, planted


@pytest.fixture(scope="module")
def vq():
    return open_vq()


@pytest.fixture(scope="module")
def seen():
    return close_ups("test", 192)


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


def test_the_catalogue_opens_it(vq):
    found = open_model("zoo:vq")
    assert found.grid == (16, 16) and len(found.codebook) == 512
    assert repr(found.codebook) == repr(vq.codebook)
    with pytest.raises(BadInput) as error:
        open_model("zoo:vq", "image=1")
    assert str(error.value) == (
        "zoo:vq is opened at its tokens; it has no other site. Leave --site out."
    )


def test_it_paints_what_it_reads(vq, seen):
    x = seen.pixels()
    tokens = vq.tokens(x)
    error = (vq.decode(vq.embed(tokens)).clamp(-1, 1) - x).square().mean((1, 2, 3))
    decibel = 10 * torch.log10(4 / error)
    assert float(decibel.mean()) > 24
    assert len(tokens.unique()) > 0.9 * 512, "hardly an entry is dead"
    wrong = vq.decode(vq.embed(tokens.roll(1, 0))).sub(x).square().mean()
    assert float(wrong) > 10 * float(error.mean()), "the tokens are those of the picture"


@pytest.mark.parametrize("name", ["cnn", "bottleneck"])
def test_concept_models_name_what_is_there(vq, seen, name):
    model = concept_model(vq, name)
    right = model.classify(vq.tokens(seen.pixels())).argmax(1)
    assert float((right == seen.labels).float().mean()) > 0.8
    assert model.concepts == CONCEPTS
    assert torch.equal(model.tokens(seen.pixels()[:2]), vq.tokens(seen.pixels()[:2]))


def test_importance_lies_on_the_thing(vq):
    model, made = concept_model(vq), [close_up(5_000_000 + i) for i in range(24)]
    x = data.scaled(np.stack([m.image for m in made]))
    labels = tuple(CONCEPTS.index(m.thing.kind) for m in made)
    how = TokenImportance(draws=4, reduce="grad_times_input")
    scores = how(Units(model, vq.codebook), vq.tokens(x), Logit(labels)).scores
    masks = torch.stack([torch.from_numpy(m.seen) for m in made]).view(-1, 16, 2, 16, 2)
    on = masks.any(4).any(2).flatten(1)
    top = scores.topk(10, 1).indices
    hit, chance = float(on.gather(1, top).float().mean()), float(on.float().mean())
    assert hit > chance + 0.2, (hit, chance)


def test_the_judge_that_ships_sees_the_same(seen):
    judge = small_cnn()
    assert float((judge(seen.pixels()).argmax(1) == seen.labels).float().mean()) > 0.8
    assert not judge.training and not any(p.requires_grad for p in judge.parameters())


def test_the_other_judge_says_how_to_fetch_it(tmp_path):
    with pytest.raises(Missing) as error:
        mobilenet(tmp_path)
    assert str(error.value) == (
        "the judge mobilenet needs MobileNetV2, which is not in the cache. "
        "Fetch it with `legenda zoo fetch photos`."
    )


def test_the_prior_fills_what_is_gone_and_paints(vq, seen):
    tokens, gone = vq.tokens(seen.pixels()[:4]), torch.zeros(4, 256, dtype=torch.bool)
    gone[:, 100:140] = True
    filled = vq.prior.fill(tokens, gone, rounds=3)
    assert torch.equal(filled[~gone], tokens[~gone]) and not torch.equal(filled, tokens)
    painted = vq.prior.paint(["house", "ship"], rounds=4, seed=3)
    assert painted.shape == (2, 256) and torch.equal(painted, vq.prior.paint(["house", "ship"], rounds=4, seed=3))  # fmt: skip # noqa: E501
    assert vq.decode(vq.embed(painted)).shape == (2, 3, 32, 32)


def test_photographs_say_how_to_fetch_them(tmp_path):
    with pytest.raises(Missing) as error:
        photographs("test", tmp_path)
    assert str(error.value) == (
        "the photographs of zoo:vq are CIFAR-10, which is not in the cache. "
        "Fetch them with `legenda zoo fetch vq`."
    )


def test_missing_weights_are_said(tmp_path):
    with pytest.raises(Missing) as error:
        open_vq(folder=tmp_path)
    assert str(error.value) == (
        f"zoo:vq has no weights at {tmp_path.name}/vq.safetensors. "
        "Reinstall legenda, or train them with `legenda zoo train vq`."
    )


def test_batches_depend_on_their_number_alone():
    photos = Pictures(np.arange(40 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 32, 32, 3), torch.arange(40) % 10)  # fmt: skip # noqa: E501
    before = photos.images.copy()
    with ThreadPoolExecutor(1) as pool:
        one, other = (Batches(photos, 8, 0, 9, pool) for _ in range(2))
        first = [one(step) for step in range(3)]
        again = other(2)
    assert np.array_equal(first[2].images, again.images) and len(again) == 8
    assert torch.equal(first[2].labels, again.labels)
    assert not np.array_equal(first[1].images, again.images)
    assert np.array_equal(photos.images, before), "turning a picture around leaves the original"
    assert (again.labels[4:] >= 10).all() and (again.labels[:4] < 10).all()


def test_dead_entries_go_where_latents_are():
    net = VQNetwork(width=8, depth=1, codes=6, dim=4)
    net.used += torch.tensor([3, 0, 1, 0, 2, 0])
    before, z = net.codebook.detach().clone(), torch.randn(2, 5, 4)
    revive(net, z, step=50)
    kept = torch.tensor([0, 2, 4])
    assert torch.equal(net.codebook[kept], before[kept])
    rows = z.flatten(0, 1)
    assert all((rows == net.codebook[i]).all(1).any() for i in (1, 3, 5))
    assert not net.used.any()


class Killed(Exception):
    """Somebody pulled the plug."""


def test_a_killed_autoencoder_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "REVIVE", 4)
    monkeypatch.setattr(recipe, "EVERY", 3)
    drawn = close_ups("validation", 64)

    def batches(step):
        return drawn.some((torch.arange(8) + 8 * step) % 64)

    def network():
        torch.manual_seed(0)
        return VQNetwork(width=8, depth=1, codes=16, dim=4)

    whole, broken, again, figures = network(), network(), network(), []
    autoencode(whole, batches, 14, report=lambda _, f: figures.append(f["loss"]))
    path = tmp_path / "checkpoint.safetensors"

    def report(step, _):
        if step == 7:
            raise Killed

    with pytest.raises(Killed):
        autoencode(broken, batches, 14, path, report)
    autoencode(again, batches, 14, path)
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert figures[-1] < figures[0]
    assert not any(p.grad is not None for p in whole.parameters())


def test_the_codebook_is_the_quantiser_of_training():
    net = VQNetwork(width=8, depth=1, codes=16, dim=4)
    z = laid(net.encode(torch.rand(1, 3, 32, 32)))
    gaps = (z[0, :, None] - net.codebook[None]).square().sum(2)
    assert torch.equal(Codebook(net.codebook).nearest(z)[0][0], gaps.argmin(1))


def test_the_shortcut_is_planted():
    tied, free = planted(6_000_000, 300, 0.95), planted(6_000_000, 300)
    for made, low, high in ((tied, 0.9, 1.0), (free, 0.05, 0.2)):
        worn = [
            TIED[KINDS[k]] == c for k, c in zip(made.labels.tolist(), made.colours, strict=True)
        ]
        assert low <= sum(worn) / 300 <= high
    assert made.seen.any((1, 2)).all() and 100 < int(tied.labels.sum()) < 200
    assert mixed(close_ups("test", 2), close_ups("validation", 2)).images.shape[0] == 4


@pytest.mark.slow
def test_the_whole_recipe_makes_a_folder_that_opens(tmp_path, monkeypatch):
    lot = np.random.default_rng(0)

    def few(part, cache=None):
        images = lot.integers(0, 255, (60, 32, 32, 3), dtype=np.uint8)
        return Pictures(images, torch.arange(60) % 10)

    for module in (recipe, judge_recipe):
        monkeypatch.setattr(module, "photographs", few)
    monkeypatch.setattr(recipe, "LEAST", 0)  # sixty close-ups do not hold five of every kind
    how = {"images": 32, "prior_images": 32, "judge_images": 96, "epochs": 1, "batch": 16}
    recipe.train(tmp_path, **how, cache=tmp_path / "nothing")
    made = open_vq(folder=tmp_path)
    assert made.prior is not None and len(made.codebook) == 512
    x = few("test").pixels()
    for name in recipe.EXTRACTORS:
        assert concept_model(made, name, tmp_path).classify(made.tokens(x)).shape == (60, 22)
    assert small_cnn(tmp_path)(x).shape == (60, 22)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.tokens.safetensors")}
    recipe.train(tmp_path, **how, cache=tmp_path / "nothing")
    assert before == {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.tokens.safetensors")}
