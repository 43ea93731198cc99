"""`zoo:vae`: what ships opens and paints sprites; its recipe can be resumed."""

from typing import Any

import pytest
import torch

from legenda import open as open_model
from legenda.core.latent import activity
from legenda.errors import BadInput
from legenda.zoo.sprites.world import COLOUR, drawn
from legenda.zoo.vae import recipe
from legenda.zoo.vae.shipped import WEIGHTS, open_vae


@pytest.fixture(scope="module")
def vae():
    return open_vae()


@pytest.fixture(scope="module")
def sprites():
    return drawn(COLOUR, 96, seed=5_000_000).pixels()


def test_the_catalogue_opens_it(vae):
    found: Any = open_model("zoo:vae")
    assert (found.name, found.ref, found.width, found.grid) == ("vae", "zoo:vae", 10, (1, 1))
    assert (found.channels, found.preprocess.size) == (3, (64, 64))
    assert found.about == vae.about and set(found.about) == {"kind", "sites", "trained on"}
    with pytest.raises(BadInput) as caught:
        open_model("zoo:vae", "image=1")
    assert str(caught.value) == (
        "zoo:vae is opened at its latents; it has no other site. Leave --site out."
    )


def test_it_is_small(vae):
    assert WEIGHTS.stat().st_size <= 3_000_000
    assert sum(p.numel() for p in vae.root.parameters()) < 600_000


def test_draws_of_its_prior_are_pictures(vae):
    z = torch.randn(16, 1, 10, generator=torch.Generator().manual_seed(0))
    shown = vae.visible(vae.decode(z))
    assert shown.shape == (16, 3, 64, 64)
    assert float(shown.min()) >= 0 and float(shown.max()) <= 1
    assert float(shown.flatten(1).std(1).median()) > 0.02, "few are blank"
    assert float(shown.std(0).mean()) > 0.02, "they differ"


def test_it_paints_the_sprite_that_it_read(vae, sprites):
    found = vae.decode(vae.acts(sprites))
    error = float((found - sprites).square().mean())
    mean = float((sprites.mean(0) - sprites).square().mean())
    other = float((found.roll(1, 0) - sprites).square().mean())
    assert error < 0.5 * mean < other, (error, mean, other)


def test_some_latents_say_something_and_all_are_told(vae, sprites):
    nats = activity(vae.posterior(sprites).nats())
    assert nats.shape == (10,) and int((nats > 0.1).sum()) >= 4, nats


def test_an_edit_of_nothing_changes_nothing(vae, sprites):
    x = sprites[:2]
    assert torch.equal(vae.run(x, lambda acts: acts).output, vae.run(x).output)
    moved = vae.run(x, lambda acts: acts + 2).output
    assert not torch.allclose(moved, vae.run(x).output, atol=0.01)


FEW: dict[str, Any] = {"images": 40, "batch": 4, "seed": 3}
"""Ten steps of the first stage, four of the second."""


class Killed(Exception):
    """Somebody pulled the plug."""


@pytest.fixture(scope="module")
def often():
    """Few pictures, and a checkpoint at every second step."""
    course: Any = recipe.fit

    def fit(*given, **more):
        return course(*given[:6], 2, *given[7:], **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "PICTURES", 12)
        patch.setattr(recipe, "fit", fit)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, often):
    """What an uninterrupted training writes, and the steps that it told of."""
    seen = []
    folder = tmp_path_factory.mktemp("whole")
    made = recipe.train(folder, **FEW, report=lambda step, _: seen.append(step))
    assert made == folder / "vae.safetensors" and seen == [*range(10), *range(4)]
    return made


@pytest.mark.parametrize(
    "killed,left", [(5, [6, 7, 8, 9, 0, 1, 2, 3]), (12, [2, 3])], ids=["first", "second"]
)
def test_a_killed_recipe_ends_with_the_same_weights(tmp_path, whole, killed, left):
    steps = []

    def report(step, _):
        steps.append(step)
        if len(steps) == killed + 1:
            raise Killed

    with pytest.raises(Killed):
        recipe.train(tmp_path, **FEW, report=report)
    assert not (tmp_path / "vae.safetensors").exists()
    steps.clear()
    again = recipe.train(tmp_path, **FEW, report=lambda step, _: steps.append(step))
    assert steps == left, "it went on from the checkpoint"
    assert again.read_bytes() == whole.read_bytes()


def test_what_the_recipe_makes_opens(tmp_path, whole):
    opened = open_vae(path=whole)
    assert opened.width == 10 and whole.stat().st_size <= 3_000_000
    assert opened.decode(torch.zeros(1, 1, 10)).shape == (1, 3, 64, 64)
    few = [recipe.train(tmp_path / str(seed), images=8, batch=4, seed=seed) for seed in (3, 4)]
    assert few[0].read_bytes() != few[1].read_bytes(), "another seed, other weights"


@pytest.mark.parametrize("option,typed", [("epochs", "epochs"), ("prior_images", "prior-images")])
def test_options_of_other_recipes_are_refused(tmp_path, option, typed):
    more: dict[str, Any] = {option: 3}
    with pytest.raises(BadInput) as caught:
        recipe.train(tmp_path, **more)
    assert str(caught.value) == (
        f"zoo train vae takes no --{typed}: its pictures are quickly drawn. Leave it out."
    )
    assert not list(tmp_path.iterdir())
