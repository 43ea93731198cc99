"""A course ends with the same bits, whatever happens in between."""

from time import perf_counter

import pytest
import torch

from legenda.autoencoders.beta_tcvae import BetaTCVAE
from legenda.autoencoders.conditional import ConditionalVAE
from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.csvae import CSVAE
from legenda.autoencoders.factor_vae import FactorVAE
from legenda.autoencoders.source import Held
from legenda.autoencoders.vae import VAE
from legenda.autoencoders.weights import initialise
from legenda.errors import BadInput, Refused
from legenda.models.burgess import Burgess
from legenda.train.loop import Pupil, Schedule
from tests.autoencoders.toys import Bars, Split, Tiny, tiny

PLAN = plan_of(12, 1e-2)


class Killed(BaseException):
    """Somebody pulled the plug."""


def killer(at):
    def report(step, _):
        if step == at:
            raise Killed

    return report


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def run(objective=None, source=None, network=None, plan=PLAN, seed=0, **more):
    made = network or Tiny()
    return fit(made, objective or VAE(), source or Bars(40), plan, seed, batch=8, **more)


OBJECTIVES = {
    "tc": BetaTCVAE(),
    "factor": FactorVAE(width=8, layers=3, rate=1e-2),
    "conditional": ConditionalVAE(drop=0.5),
    "csvae": CSVAE(width=8),
}


def course(name, folder=None, **more):
    """A course of one kind, with what it needs; returns the network."""
    network = Split() if name == "csvae" else Tiny(told=2 if name == "conditional" else 0)
    source = Bars(40, told=name in ("conditional", "csvae"))
    return run(OBJECTIVES[name], source, network, folder=folder, every=4, **more)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_killed_course_ends_with_the_same_bits(tmp_path, name):
    whole = course(name)
    for at in (1, 6, 11):
        place = tmp_path / str(at)
        with pytest.raises(Killed):
            course(name, place, report=killer(at))
        assert same(whole, course(name, place)), at
        assert same(whole, course(name, place)), "finished, it stays"
        assert not list(place.glob("*.writing"))
        rivals = [p.name for p in place.glob("vae.rival.*")]
        wanted = ["vae.rival.12.training.safetensors"] if name in ("factor", "csvae") else []
        assert rivals == wanted


def test_a_rival_goes_on_with_the_same_bits_too(tmp_path):
    place, other = tmp_path / "whole", tmp_path / "broken"
    course("factor", place)
    with pytest.raises(Killed):
        course("factor", other, report=killer(9))
    course("factor", other)
    name = "vae.rival.12.training.safetensors"
    assert (place / name).read_bytes() == (other / name).read_bytes()


def test_a_kill_between_rival_and_network_loses_neither(tmp_path, monkeypatch):
    whole, saved = course("factor"), Pupil.save

    def save(pupil, path):
        if path.name == "vae.training.safetensors" and pupil.step == 8:
            raise Killed
        saved(pupil, path)

    monkeypatch.setattr(Pupil, "save", save)
    with pytest.raises(Killed):
        course("factor", tmp_path)
    monkeypatch.undo()
    assert len(list(tmp_path.glob("vae.rival.*"))) == 2
    assert same(whole, course("factor", tmp_path))


def test_a_network_without_its_rival_is_refused(tmp_path):
    course("factor", tmp_path)
    (tmp_path / "vae.rival.12.training.safetensors").unlink()
    with pytest.raises(Refused) as caught:
        course("factor", tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/vae.training.safetensors goes on with vae.rival.12.training.safetensors, "
        "which is not there. Choose another folder, or remove it."
    )


def test_seeds_draw_other_weights_and_other_steps():
    first = run()
    assert same(first, run()) and not same(first, run(seed=1))
    begun, other = Tiny(), Tiny()
    initialise(begun, 0)
    initialise(other, 1)
    assert not same(begun, other)


def test_the_global_lot_is_left_alone_and_changes_nothing():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    network = Tiny()
    torch.set_rng_state(before)
    first = run(network=network)
    assert torch.get_rng_state().equal(before)
    torch.manual_seed(5)
    assert same(first, run())


def test_fresh_false_goes_on_from_the_weights_that_are_there():
    network = tiny().float()
    start = {k: v.clone() for k, v in network.state_dict().items()}
    run(network=network, fresh=False, plan=plan_of(1, 1e-9))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, start[name], atol=1e-6, rtol=0)


def test_weights_begin_within_the_bounds_of_their_inputs():
    network = Burgess(32, 3, 10)
    initialise(network, 0)
    for name, inputs in (("conv1", 3 * 16), ("lin2", 256)):
        layer = getattr(network.encoder, name)
        for part in (layer.weight, layer.bias):
            assert part.abs().max() <= inputs**-0.5
        assert layer.weight.detach().std() == pytest.approx((inputs * 3) ** -0.5, rel=0.1)


def test_figures_are_told_and_no_gradient_stays():
    seen = []
    network = run(report=lambda step, figures: seen.append((step, figures)))
    assert [step for step, _ in seen] == list(range(12))
    wanted = {"reconstruction", "kl", "loss", "norm", "pictures_per_second"}
    assert set(seen[0][1]) == wanted and seen[-1][1]["loss"] < seen[0][1]["loss"]
    assert all(p.grad is None for p in network.parameters())


def test_held_pictures_come_once_in_each_epoch_in_another_order():
    bytes_ = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 1, 2, 2)
    y = torch.arange(10.0)[:, None]
    source = Held(bytes_.contiguous(), y)
    found = [source.batch(step, 5, 0) for step in range(4)]
    values = [(x[:, 0, 0, 0] * 255).round().tolist() for x, _ in found]
    for (_, told), shown in zip(found, values, strict=True):
        assert told[:, 0].tolist() == shown
    first, second = values[0] + values[1], values[2] + values[3]
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    assert source.batch(0, 5, 1)[0].ne(found[0][0]).any()
    assert source.key != Held(bytes_.contiguous()).key
    straddling = Held(bytes_.contiguous()).batch(1, 7, 0)
    assert isinstance(straddling, torch.Tensor) and len(straddling) == 7


@pytest.mark.parametrize(
    ("more", "name", "was", "now"),
    [
        ({"objective": BetaTCVAE(2.0)}, "objective", repr(VAE()), repr(BetaTCVAE(2.0))),
        ({"seed": 1}, "seed", "0", "1"),
        ({"plan": plan_of(13)}, "plan", repr(PLAN), repr(plan_of(13))),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, more, name, was, now):
    run(folder=tmp_path)
    with pytest.raises(Refused) as caught:
        run(folder=tmp_path, **more)
    assert str(caught.value) == (
        f"{tmp_path}/vae.training.safetensors was begun with another {name}: {was}, now it is "
        f"{now}. Choose another folder, or remove it."
    )


class Broken(Bars):
    def __init__(self, scale):
        super().__init__(40)
        self.scale = scale

    def batch(self, step, size, seed):
        return super().batch(step, size, seed) * self.scale


def frozen():
    return Tiny().requires_grad_(False)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"source": Broken(255.0)},
            "pictures to learn from are colours from 0 to 1; at step 0 they go from 0 to "
            "[12]..[.].* Divide bytes by 255.",
        ),
        ({"source": Broken(float("nan"))}, "pictures to .* at step 0 they go from nan to nan.*"),
        (
            {"every": 0},
            "a course needs a batch of a picture or more, a step or more, and a checkpoint every "
            "so many steps; it got batch=8, steps=12, every=0. Change these.",
        ),
        (
            {"plan": Schedule(12, half=True)},
            "an autoencoder learns in float32; the plan says half=True. Leave it out.",
        ),
        (
            {"network": frozen()},
            r"a course needs weights that can be learned; Tiny has none that require a gradient. "
            r"Call requires_grad_\(\) on it.",
        ),
        (
            {"plan": plan_of(60, 1e6)},
            r"the autoencoder has no loss at step \d+: it is NaN. The last checkpoint is kept; "
            "begin again with a lower rate.",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(more, says):
    with pytest.raises(BadInput, match=f"^{says}$"):
        run(**more)


@pytest.mark.parametrize(
    ("pictures", "told", "says"),
    [
        (
            torch.rand(3, 1, 4, 4),
            None,
            "Held needs pictures in bytes (p c h w); it got torch.float32 of the shape "
            "(3, 1, 4, 4). Multiply colours by 255 and round them.",
        ),
        (
            torch.zeros(3, 1, 4, 4, dtype=torch.uint8),
            torch.zeros(2, 1),
            "Held needs numbers for each picture; it got 3 pictures and 2 rows of numbers. Give "
            "one row for each.",
        ),
    ],
)
def test_what_cannot_be_held_is_refused(pictures, told, says):
    with pytest.raises(BadInput) as caught:
        Held(pictures, told)
    assert str(caught.value) == says


def test_a_step_of_the_real_network_takes_a_few_tens_of_milliseconds():
    """0.02 s on one thread; ten times that is a fault, not a slow machine."""
    x = torch.randint(256, (64, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    took, last = [], perf_counter()

    def report(_step, _figures):
        nonlocal last
        now = perf_counter()
        took.append(now - last)
        last = now

    fit(Burgess(32, 3, 10), BetaTCVAE(), Held(x.byte()), plan_of(12), 0, report=report)
    assert min(took) < 0.2
