"""A course: one batch for all, each with its own bits, whatever happens in between."""

from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from legenda.dictionaries.auxiliary import Revival
from legenda.dictionaries.batch_top_k import BatchTopK
from legenda.dictionaries.course import fit, learn
from legenda.dictionaries.matryoshka import MatryoshkaBatchTopK
from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.dictionaries.top_k import TopK
from legenda.errors import BadInput, Refused
from legenda.train.loop import Schedule, Staircase
from tests.dictionaries import toys

REVIVE = Revival(after=100, most=4)
LEARNERS = {
    "top": TopK(40, 3, REVIVE),
    "batch": BatchTopK(40, 3, REVIVE, start=2),
    "nested": MatryoshkaBatchTopK(40, 3, (8, 32), revive=REVIVE, start=2),
    "relu": ReLUL1(40, 0.1),
}
PLAN = Schedule(12, 1e-2, warmup=3, weight_decay=0.0, betas=(0.9, 0.999), fused=True)
SOURCE = toys.Source()


def run(learners=LEARNERS, plan=PLAN, source=SOURCE, **more):
    return fit(learners, source, plan, **{"batch": 32, "seed": 0, **more})


def same(one, other):
    """All parameters and buffers, bit for bit."""
    assert one.keys() == other.keys()
    for name in one:
        these, those = one[name].state_dict(), other[name].state_dict()
        assert these.keys() == those.keys()
        for key in these:
            assert torch.equal(these[key], those[key]), f"{name}: {key}"
    return True


class Killed(BaseException):
    """Somebody pulled the plug."""


def killer(at):
    def report(step, _):
        if step == at:
            raise Killed

    return report


@pytest.fixture(scope="module")
def whole():
    return run()


@pytest.mark.parametrize("at", [0, 3, 4, 10])
def test_a_killed_course_ends_with_the_same_bits(tmp_path, whole, at):
    with pytest.raises(Killed):
        run(folder=tmp_path, every=4, report=killer(at))
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ([] if at < 3 else sorted(f"{name}.training.safetensors" for name in LEARNERS))
    steps = []
    again = run(folder=tmp_path, every=4, report=lambda step, _: steps.append(step))
    assert steps[0] == (at + 1) // 4 * 4 and steps[-1] == 11
    assert same(whole, again)
    assert "silent" in again["top"].state_dict() and again["batch"].state_dict()["threshold"] > 0


def test_killed_between_two_checkpoints_each_goes_on_from_its_own(tmp_path, whole, monkeypatch):
    from legenda.train import loop

    keep, written = loop.keep, []

    def keeping(path, *rest):
        if len(written) == 6:  # the third dictionary's second
            raise Killed
        written.append(path.name)
        keep(path, *rest)

    monkeypatch.setattr(loop, "keep", keeping)
    with pytest.raises(Killed):
        run(folder=tmp_path, every=4)
    monkeypatch.undo()
    steps = [
        int(safe_open(tmp_path / f"{name}.training.safetensors", "pt").metadata()["step"])
        for name in LEARNERS
    ]
    assert steps == [8, 8, 4, 4]
    assert same(whole, run(folder=tmp_path, every=4))


def test_who_learns_beside_a_dictionary_changes_none_of_its_bits(whole):
    alone = run({"nested": LEARNERS["nested"]})
    assert same(alone, {"nested": whole["nested"]})


def test_a_finished_course_is_not_run_again(tmp_path, whole):
    run(folder=tmp_path)
    told = []
    assert same(whole, run(folder=tmp_path, report=lambda *a: told.append(a)))
    assert not told


def test_seeds_differ_and_repeat(whole):
    assert same(whole, run())
    other = run(seed=1)
    assert not torch.equal(other["top"].decoder, whole["top"].decoder)


def test_each_step_is_told(whole):
    told = []
    run(report=lambda step, figures: told.append((step, figures)))
    assert [step for step, _ in told] == list(range(12))
    last = told[-1][1]
    assert last.keys() == {*LEARNERS, "rows_per_second"} and last["rows_per_second"] > 0
    for name in ("top", "batch", "nested"):
        assert last[name].keys() == {"fvu", "l0", "dead", "idle", "loss", "norm"}
        assert last[name]["l0"] <= 3 and 0 <= last[name]["dead"] <= 1
    assert last["top"]["fvu"] < told[0][1]["top"]["fvu"]


def test_nothing_is_left_behind(whole):
    for module in whole.values():
        assert all(p.grad is None for p in module.parameters())
        assert module.name in LEARNERS
    norms = whole["nested"].atoms.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(40))


def test_bad_rows_in_the_stream_are_refused_with_the_step_and_the_checkpoint_kept(tmp_path, whole):
    with pytest.raises(BadInput) as caught:
        run(folder=tmp_path, every=3, source=toys.Source(bad=7))
    assert str(caught.value) == (
        "1 of 32 rows at step 7 hold NaN or infinity. The last checkpoint is kept; check the model "
        "and its pictures, then go on."
    )
    assert same(whole, run(folder=tmp_path, every=3))
    with pytest.raises(BadInput) as caught:
        run(source=toys.Source(bad=0))
    assert str(caught.value).startswith("1 of 40 rows to begin from hold NaN or infinity.")


def test_a_loss_that_is_no_number_is_refused(whole):
    with pytest.raises(BadInput) as caught:
        run({"top": LEARNERS["top"]}, replace(PLAN, lr=1e30, warmup=0, clip=float("inf")))
    assert "top has no loss at step" in str(caught.value)
    assert str(caught.value).endswith(
        "it is NaN. The last checkpoint is kept; begin again with a lower rate, or a smaller clip."
    )


@pytest.mark.parametrize(
    ("change", "what", "was", "now"),
    [
        ({"seed": 1}, "seed", "0", "1"),
        ({"batch": 33}, "batch", "32", "33"),
        ({"plan": replace(PLAN, lr=1e-3)}, "plan", repr(PLAN), repr(replace(PLAN, lr=1e-3))),
        ({"source": toys.Source(key="other")}, "rows", "drawn", "other"),
        (
            {"learners": {"top": TopK(40, 4, REVIVE)}},
            "learner",
            repr(LEARNERS["top"]),
            repr(TopK(40, 4, REVIVE)),
        ),
    ],
)
def test_a_checkpoint_of_another_course_is_refused(tmp_path, change, what, was, now):
    learners = {"top": LEARNERS["top"]}
    run(learners, folder=tmp_path, plan=PLAN)
    with pytest.raises(Refused) as caught:
        run(**{"learners": learners, "folder": tmp_path, **change})
    assert str(caught.value) == (
        f"{tmp_path / 'top.training.safetensors'} was begun with another {what}: {was}, now it is "
        f"{now}. Choose another folder, or remove it."
    )


def test_a_course_that_cannot_begin_is_refused():
    def said(**more):
        with pytest.raises(BadInput) as caught:
            run(**more)
        return str(caught.value)

    assert said(learners={}) == (
        "a course needs a learner or more; it got none. Name one, such as TopK(256)."
    )
    assert said(learners={"a/b": LEARNERS["top"]}) == (
        "a dictionary's name is the name of its file; 'a/b' is none. Choose another."
    )
    assert said(batch=0) == (
        "a course needs a batch of a row or more, a step or more, and a checkpoint every so many "
        "steps; it got batch=0, steps=12, every=500. Change these."
    )
    assert said(plan=replace(PLAN, half=True)) == (
        "a dictionary learns in float32; the plan says half=True. Leave it out: learners have a "
        "`half` of their own, which is as fast and changes no result."
    )
    assert said(source=toys.Source(count=39)).startswith("40 units need 40 activations or more")


def test_any_plan_will_do():
    stairs = Staircase(6, 1e-2, weight_decay=0.0, stairs=2, clip=1.0, fused=True)
    assert same(run(plan=stairs), run(plan=stairs))


def test_rows_at_hand_are_learned_from():
    rows = toys.drawn(200)
    module = learn(TopK(24, 3), rows, steps=60, batch=100)
    before = module.learner.begin(rows, 0)
    fvu = [
        float((rows - m.decode(m.encode(rows[None]))[0]).square().sum()) for m in (module, before)
    ]
    assert fvu[0] < 0.8 * fvu[1]
    assert torch.equal(learn(TopK(24, 3), rows, steps=60, batch=100).decoder, module.decoder)


@pytest.mark.parametrize("name", ["top", "batch", "nested"])
def test_bfloat16_changes_no_bit_of_what_is_learned(whole, name):
    exact = run({name: replace(LEARNERS[name], half=False)})
    half = run({name: replace(LEARNERS[name], half=True)})
    assert same(exact, half) and same(exact, {name: whole[name]})
