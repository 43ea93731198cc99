"""The training loop: a run that was killed and resumed ends with the same bits."""

from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from legenda.errors import Missing, Refused
from legenda.train.loop import Pupil, Schedule, Staircase, fit, keep


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def loss_of(net):
    def loss(step):
        lot = torch.Generator().manual_seed(step)
        x = torch.randn(16, 3, generator=lot)
        error = (net(x)[:, 0] - x.sin().sum(1)).square().mean()
        return error, {"error": float(error.detach())}

    return loss


class Killed(Exception):
    """Somebody pulled the plug."""


SCHEDULE = Schedule(steps=30, lr=1e-2, warmup=5)
STAIRCASE = Staircase(steps=30, lr=1e-2, stairs=3)


def test_it_learns_and_leaves_no_gradient():
    net, seen = network(), []
    fit(
        net,
        loss_of(net),
        Schedule(steps=150, lr=2e-2, warmup=5),
        report=lambda _, f: seen.append(f),
    )
    assert sum(f["error"] for f in seen[-20:]) < 0.2 * sum(f["error"] for f in seen[:20])
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("killed_at", [3, 10, 17])
def test_a_killed_run_ends_with_the_same_bits(tmp_path, killed_at):
    whole = network()
    fit(whole, loss_of(whole), SCHEDULE)
    broken = network()

    def report(step, _figures):
        if step == killed_at:
            raise Killed

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        fit(broken, loss_of(broken), SCHEDULE, path, every=5, report=report)
    again = network()
    fit(again, loss_of(again), SCHEDULE, path, every=5)
    for p, q in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q)
    assert not path.with_suffix(".writing").exists(), "nothing half-written remains"


def normed():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))


@pytest.mark.parametrize("schedule", [SCHEDULE, STAIRCASE], ids=["schedule", "staircase"])
def test_a_killed_batch_norm_ends_with_the_same_bits(tmp_path, schedule):
    whole, broken, again = normed(), normed(), normed()
    fit(whole, loss_of(whole), schedule)

    def report(step, _figures):
        if step == 12:
            raise Killed

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        fit(broken, loss_of(broken), schedule, path, every=5, report=report)
    fit(again, loss_of(again), schedule, path, every=5)
    state = again.state_dict()
    assert any("running" in name for name in state)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_the_staircase_is_adam_with_steps_literally():
    ours, theirs = normed(), normed()
    fit(ours, loss_of(ours), STAIRCASE)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-2, weight_decay=1e-4)
    stairs = torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.1)
    loss = loss_of(theirs)
    for step in range(30):
        optimizer.zero_grad()
        loss(step)[0].backward()
        assert optimizer.param_groups[0]["lr"] == STAIRCASE.rate(step)
        optimizer.step()
        stairs.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p, q)


def test_the_schedule_is_adam_that_decays_matrices_only():
    ours, theirs = network(), network()
    schedule = Schedule(steps=4, lr=1e-2, warmup=1, decay=0.1, clip=float("inf"))
    fit(ours, loss_of(ours), schedule)
    loss, moments = loss_of(theirs), [(torch.zeros_like(p),) * 2 for p in theirs.parameters()]
    for step in range(4):
        grads = torch.autograd.grad(loss(step)[0], list(theirs.parameters()))
        for i, (p, grad) in enumerate(zip(theirs.parameters(), grads, strict=True)):
            first, second = moments[i]
            first, second = 0.9 * first + 0.1 * grad, 0.98 * second + 0.02 * grad**2
            moments[i] = first, second
            if p.ndim > 1:
                p.data *= 1 - 1e-2 * 0.05
            scale = (second / (1 - 0.98 ** (step + 1))).sqrt() + 1e-8
            p.data -= 1e-2 * first / (1 - 0.9 ** (step + 1)) / scale
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_a_full_disk_says_so_and_leaves_the_last_checkpoint(tmp_path):
    resource = pytest.importorskip("resource")
    whole, net, path = network(), network(), tmp_path / "checkpoint.safetensors"
    fit(whole, loss_of(whole), SCHEDULE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def report(step, _figures):
        if step == 7:  # the checkpoint after step 5 is written, that after step 10 finds no room
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))

    try:
        with pytest.raises(Missing) as caught:
            fit(net, loss_of(net), SCHEDULE, path, every=5, report=report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == (
        f"{path} could not be written: {caught.value.__cause__}. "
        "Make room there, or choose another folder."
    )
    assert "File too large" in str(caught.value)
    assert list(tmp_path.iterdir()) == [path], "nothing half-written remains"
    again = network()
    fit(again, loss_of(again), SCHEDULE, path, every=5)
    for p, q in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_finished_run_is_not_run_again(tmp_path):
    net, path, steps = network(), tmp_path / "checkpoint.safetensors", []
    fit(net, loss_of(net), SCHEDULE, path)
    fit(net, loss_of(net), SCHEDULE, path, report=lambda step, _: steps.append(step))
    assert steps == []


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    net, path = network(), tmp_path / "checkpoint.safetensors"
    fit(net, loss_of(net), Schedule(steps=2), path)
    other = nn.Sequential(nn.Linear(3, 8))
    with pytest.raises(Refused) as caught:
        fit(other, lambda step: (other(torch.ones(1, 3)).sum(), {}), Schedule(steps=3), path)
    assert str(caught.value) == (
        f"{path} is a checkpoint of another model: its weights do not match. "
        "Choose another folder, or remove it."
    )


def test_the_rate_rises_stays_and_falls():
    schedule = Schedule(steps=100, lr=1.0, warmup=10, decay=0.5)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == 0.1 and rates[9] == rates[30] == rates[50] == 1.0
    assert rates[75] == 0.5 and rates[99] == pytest.approx(0.02)


def test_gradients_that_flow_nowhere_are_allowed():
    net = nn.ModuleDict({"used": nn.Linear(1, 1), "idle": nn.Linear(1, 1)})
    before = net["idle"].weight.clone()
    fit(net, lambda step: (net["used"](torch.ones(1, 1)).sum(), {}), Schedule(steps=2))
    assert torch.equal(net["idle"].weight, before)


@pytest.mark.parametrize("plan", [SCHEDULE, STAIRCASE], ids=["schedule", "staircase"])
def test_betas_reach_adam_and_fused_steps_are_the_same_to_rounding(plan):
    once, again, other = network(), network(), network()
    fit(once, loss_of(once), plan)
    fit(again, loss_of(again), replace(plan, fused=True))
    for p, q in zip(once.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    optimizer = replace(plan, betas=(0.5, 0.6), fused=True).optimizer(once.parameters())
    assert optimizer.defaults["betas"] == (0.5, 0.6) and optimizer.defaults["fused"]
    fit(other, loss_of(other), replace(plan, betas=(0.5, 0.6)))
    assert not torch.equal(next(once.parameters()), next(other.parameters()))


@pytest.mark.parametrize("clip", [1e-3, 0.05, float("inf")])
def test_a_clip_is_that_of_torch(clip):
    ours, theirs = network(), network()
    plan = Staircase(8, lr=1e-2, weight_decay=0.0, stairs=1, clip=clip)
    norms = []
    fit(ours, loss_of(ours), plan, report=lambda _, figures: norms.append(figures["norm"]))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-2)
    for step in range(8):
        optimizer.zero_grad()
        loss_of(theirs)(step)[0].backward()
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        assert float(norm) == norms[step]
        optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_pupil_may_have_its_gradient_shaped_and_remembers_what_it_is_about(tmp_path):
    net, path = network(), tmp_path / "checkpoint.safetensors"
    pupil, before = Pupil(net, SCHEDULE, {"seed": "0"}), net[0].weight.clone()
    pupil.descend(loss_of(net)(0)[0], lambda grads: grads["0.weight"].zero_())
    pupil.rest()
    decayed = before * (1 - SCHEDULE.rate(0) * SCHEDULE.weight_decay)
    torch.testing.assert_close(net[0].weight, decayed)
    pupil.save(path)
    again = Pupil(network(), SCHEDULE, {"seed": "0"})
    again.load(path)
    assert again.step == 1
    with pytest.raises(Refused) as caught:
        Pupil(network(), SCHEDULE, {"seed": "1"}).load(path)
    assert str(caught.value) == (
        f"{path} was begun with another seed: 0, now it is 1. Choose another folder, or remove it."
    )


def test_the_same_content_is_the_same_file(tmp_path):
    tensors = {f"weight/{i}": torch.full((3, i + 1), float(i)) for i in range(7)}
    about = {"step": "3", "schedule": "Ü (plan)", "learner": "x", "rows": "y", "seed": "0"}
    files = []
    for number in range(8):
        keep(tmp_path / f"{number}.safetensors", tensors, about)
        files.append((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(set(files)) == 1
    with safe_open(tmp_path / "0.safetensors", "pt") as file:
        assert file.metadata() == about
        assert all(torch.equal(file.get_tensor(name), value) for name, value in tensors.items())
