import json
from dataclasses import dataclass, replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy

from legenda.concepts.bottleneck import Bottlenecked
from legenda.concepts.course import Course, used
from legenda.concepts.extractors import CNN, ResNet, Transformer
from legenda.concepts.model import ConceptModel
from legenda.concepts.storage import load_concepts, save_concepts
from legenda.concepts.token_set import TokenSet
from legenda.concepts.training import measured, train_concepts
from legenda.core.codebook import Codebook
from legenda.core.interval import wilson
from legenda.core.target import Logit
from legenda.errors import BadInput, Missing, Refused
from legenda.explain.token_importance import TokenImportance
from legenda.train.loop import Schedule, Staircase
from tests.concepts.world import (
    CONCEPTS,
    ENTRIES,
    GRID,
    INNER,
    book,
    parts,
    recall,
    telling,
    trained,
    units,
    world,
)

SMALL = CNN(((8, 1),), (8,), 0.5)
KINDS = {
    "cnn": SMALL,
    "resnet": ResNet(((8, 1),), 4, 8, 0.3),
    "transformer": Transformer(16, 1, 2, 16, 8, 0.3, branch_norm=True),
    "noise": Bottlenecked(SMALL, 0.05, gate=4),
    "drop": Bottlenecked(SMALL, 0.5, "drop", gate=4),
}
PLAN = Staircase(1, lr=3e-3, stairs=2)


def short(extractor, folder=None, report=None, dtype=torch.float32, **changes):
    """Three epochs of eight steps."""
    settings = {"epochs": 3, "batch": 16, "schedule": PLAN, "seed": 5} | changes
    training, validation, _ = world(160).split((0.8, 0.1, 0.1))
    return train_concepts(
        extractor, Codebook(book().atoms.to(dtype)), training, validation,
        folder=folder, report=report, **settings,
    )  # fmt: skip


def same(one, other):
    state = other.root.state_dict()
    return all(torch.equal(v, state[n]) for n, v in one.root.state_dict().items())


# ------------------------------------------------------------------------------- what is learned


@pytest.mark.parametrize("kind", ["cnn", "noise"])
def test_steps_are_the_literal_twin(kind):
    """Written slowly: one epoch, Adam by torch, noise and dropout from the numbered seeds.

    In float64, since Adam makes steps of the rounding where a batch norm swallows a bias.
    """
    training, validation, _ = world(160).split((0.8, 0.1, 0.1))
    course, atoms = Course(book(), training, validation, 8, 1, 5), book().atoms.double()
    found = short(KINDS[kind], epochs=1, schedule=replace(PLAN, stairs=1), dtype=torch.float64)
    torch.manual_seed(course.lot("weights"))
    net = KINDS[kind].build(8, GRID, len(CONCEPTS)).double().train()
    if kind == "noise":
        every = atoms[training.batch(torch.arange(len(training)))[0]].flatten(0, 1)
        net.refer(every.mean(0), every.std(0, correction=0))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-4)
    order = torch.randperm(128, generator=torch.Generator().manual_seed(course.lot("order")))
    for step in range(8):
        tokens, labels = training.batch(order[16 * step : 16 * step + 16])
        x = torch.stack([atoms[t].T.reshape(8, *GRID) for t in tokens])
        torch.manual_seed(course.lot("dropout", step))
        if kind == "noise":
            lot = torch.Generator().manual_seed(course.lot("noise", step))
            logits, nats = net.noisy(x, lot)
            price = 0.05 * min(1, (step + 1) / 4) * sum(n.mean() for n in nats) / 16
        else:
            logits, price = net(x), 0
        optimizer.zero_grad()
        chosen = logits.log_softmax(1)[range(16), labels]
        (price - chosen.mean()).backward()
        optimizer.step()
    for (name, p), q in zip(net.named_parameters(), found.root.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-8, msg=name)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own():
    training, validation, _ = world(101 * 4).split()
    course = Course(book(), training, validation, 21, 2, 0)
    first = [course.rows(step) for step in range(21)]
    second = [course.rows(step) for step in range(21, 42)]
    assert {len(rows) for rows in first} == {15, 16}, "no batch of a single image"
    for epoch in (first, second):
        assert torch.equal(torch.cat(epoch).sort().values, torch.arange(len(training)))
    assert not torch.equal(torch.cat(first), torch.cat(second))
    assert torch.equal(course.rows(3), first[3]), "whatever was asked before"


def test_the_channel_is_told_the_mean_and_spread_of_tokens_as_they_are_used():
    training = world(160)
    every = book().atoms[training.batch(torch.arange(160))[0]].flatten(0, 1).double()
    mean, spread = used(book(), training)
    torch.testing.assert_close(mean, every.mean(0))
    torch.testing.assert_close(spread, every.std(0, correction=0))
    flat = torch.cat([book().atoms, torch.ones(ENTRIES, 1)], 1)
    assert used(Codebook(flat), training)[1].min() > 0.005, "a dead channel has a floor"


def test_it_learns_the_planted_world_and_finds_its_tokens():
    model, (tokens, labels, planted) = trained(), telling()
    top1 = measured(model, parts()[2])[0]
    assert top1.value > 0.85 and top1.beats_control
    how = TokenImportance(draws=8, reduce="grad_times_input")
    scores = how(units(model), tokens, Logit(tuple(labels.tolist()))).scores
    assert recall(scores, planted) >= 0.95
    steepest = TokenImportance(draws=8)(units(model), tokens, Logit(tuple(labels.tolist())))
    assert recall(steepest.scores, planted) > 2 * 4 / 36, "better than chance, and no more"


# ----------------------------------------------------------------------------- random, resumed


class Killed(Exception):
    """Somebody pulled the plug."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("killed_at", [4, 15, 18])  # before, at and after the end of an epoch
def test_a_killed_training_ends_with_the_same_bits(tmp_path, kind, killed_at):
    def report(step, _figures):
        if step == killed_at:
            raise Killed

    whole = short(KINDS[kind])
    with pytest.raises(Killed):
        short(KINDS[kind], tmp_path, report)
    torch.rand(3)  # whatever the global generator did in between
    again = short(KINDS[kind], tmp_path)
    assert same(whole, again)
    assert whole.ref == again.ref and not list(tmp_path.glob("*.writing"))


def test_a_finished_training_is_not_run_again(tmp_path):
    steps = []
    first = short(SMALL, tmp_path)
    second = short(SMALL, tmp_path, report=lambda step, _: steps.append(step))
    assert steps == [] and same(first, second)


def test_the_seed_decides_and_the_global_generator_is_not_ours():
    state = torch.get_rng_state()
    one, two, other = short(SMALL), short(SMALL), short(SMALL, seed=6)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(one, two) and not same(one, other)
    assert one.ref == two.ref != other.ref
    assert not any(p.requires_grad or p.grad is not None for p in one.root.parameters())
    assert not one.root.training


def test_the_best_epoch_is_returned(tmp_path):
    """At a rate that soon ruins everything, the best epoch is not the last one."""
    seen = []
    wild = Staircase(1, lr=0.3, stairs=1)
    model = short(SMALL, tmp_path, lambda _, f: seen.append(f), epochs=6, schedule=wild)
    losses = [f["validation loss"] for f in seen if "validation loss" in f]
    assert len(seen) == 48 and len(losses) == 6
    training, validation, _ = world(160).split((0.8, 0.1, 0.1))
    tokens, labels = validation.batch(torch.arange(len(validation)))
    found = float(cross_entropy(model.classify(tokens), labels))
    assert found == pytest.approx(min(losses), rel=1e-5)
    assert min(losses) < losses[-1]
    rights = [f["validation right"] for f in seen if "validation loss" in f]
    right = float((model.classify(tokens).argmax(1) == labels).float().mean())
    assert right == pytest.approx(rights[losses.index(min(losses))])


def test_half_precision_trains_too():
    seen = []
    model = short(KINDS["noise"], schedule=Schedule(1, lr=3e-3, warmup=4, half=True),
                  report=lambda _, f: seen.append(f))  # fmt: skip
    assert all(p.dtype == torch.float32 for p in model.root.parameters())
    assert seen[-1]["validation loss"] < seen[7]["validation loss"]
    assert all(f["nats"] >= 0 for f in seen)


# ---------------------------------------------------------------------------------- measured


class Says(nn.Module):
    """Always the same logits."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([3.0, 2, 1, 0]))

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def test_it_measures_with_intervals_against_the_most_frequent():
    model = ConceptModel(Says(), book(), CONCEPTS, GRID)
    labels = [0] * 5 + [1] * 2 + [2] * 1 + [3] * 12
    test = TokenSet.of(torch.zeros(20, 36, dtype=torch.long), labels, CONCEPTS, GRID, ENTRIES, 0)
    rows = measured(model, test, (1, 3, 4))
    assert [row.name for row in rows] == ["top-1", "top-3", "top-4"]
    assert [row.value for row in rows] == [5 / 20, 8 / 20, 1.0]
    assert [row.control for row in rows] == [12 / 20, 19 / 20, 1.0]
    assert rows[0].interval == wilson(5, 20) and rows[0].control_interval == wilson(12, 20)
    assert rows[1].n == 20 and rows[1].unit == "share" and not rows[0].beats_control
    assert [row.name for row in measured(model, test)] == ["top-1", "top-3"], "of four, no top-5"
    even = TokenSet.of(test.tokens, [0, 1, 2, 3] * 5, CONCEPTS, GRID, ENTRIES)
    assert [row.control for row in measured(model, even)] == [0.25, 0.75], "chance"


# -------------------------------------------------------------------------------- saved, loaded


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded(tmp_path, kind, half):
    model = short(KINDS[kind], epochs=1)
    save_concepts(model, KINDS[kind], tmp_path, half)
    state = torch.get_rng_state()
    again = load_concepts(tmp_path, book())
    assert torch.equal(torch.get_rng_state(), state)
    tokens = world(20).batch(torch.arange(20))[0]
    gap = (again.classify(tokens) - model.classify(tokens)).abs().max()
    assert gap <= (0.02 if half else 0)
    assert same(model, again) != half and (again.ref == model.ref) != half
    assert (again.concepts, again.grid, again.name) == (CONCEPTS, GRID, model.name)
    assert not any(p.requires_grad for p in again.root.parameters()) and not again.root.training
    assert sorted(p.name for p in tmp_path.iterdir()) == ["concepts.json", "concepts.safetensors"]
    kept = load_file(tmp_path / "concepts.safetensors")
    assert all(v.dtype == (torch.float16 if half else torch.float32)
               for n, v in kept.items() if n.endswith("weight"))  # fmt: skip
    assert all(v.dtype != torch.float16 for n, v in kept.items() if "running" in n)


def test_the_record_can_be_read(tmp_path):
    save_concepts(short(KINDS["noise"], epochs=1), KINDS["noise"], tmp_path)
    about = json.loads((tmp_path / "concepts.json").read_text("utf-8"))
    assert about["extractor"]["kind"] == "Bottlenecked"
    assert about["extractor"]["fields"]["inner"] == {
        "kind": "CNN", "fields": {"stages": [[8, 1]], "hidden": [8], "dropout": 0.5, "tail": 0},
    }  # fmt: skip
    assert about["concepts"] == list(CONCEPTS) and about["grid"] == [6, 6]


def saved(tmp_path, extractor=SMALL):
    save_concepts(short(extractor, epochs=1), extractor, tmp_path)
    return tmp_path


def changed(folder, change):
    path = folder / "concepts.json"
    about = json.loads(path.read_text("utf-8"))
    change(about)
    path.write_text(json.dumps(about), "utf-8")


def test_another_codebook_is_refused(tmp_path):
    folder = saved(tmp_path)
    for k, d in ((ENTRIES, 6), (ENTRIES + 1, 8)):
        with pytest.raises(Refused) as caught:
            load_concepts(folder, Codebook(torch.randn(k, d)))
        assert str(caught.value) == (
            f"the concept model in {folder} reads 14 entries of width 8; codebook has {k} of width "
            f"{d}. Give the codebook it was trained with."
        )
    with pytest.raises(Refused) as caught:
        load_concepts(folder, Codebook(book().atoms.flip(0)))
    ours, theirs = (repr(b)[-13:-1] for b in (book(), Codebook(book().atoms.flip(0))))
    assert str(caught.value) == (
        f"the concept model in {folder} was trained with the codebook {ours}; codebook is {theirs},"
        " with other entries. Train a concept model for it."
    )


def test_weights_that_cannot_be_used_are_refused(tmp_path):
    folder = saved(tmp_path)
    path = folder / "concepts.safetensors"
    state = load_file(path)
    spoilt = {n: v.clone() for n, v in state.items()}
    spoilt["0.weight"][0, 0, 0] = torch.nan
    save_file(spoilt, path)
    with pytest.raises(Refused) as caught:
        load_concepts(folder, book())
    assert str(caught.value) == f"{path} holds 3 numbers that are not finite. Train it again."
    save_file({n: v for n, v in state.items() if n != "0.bias"}, path)
    with pytest.raises(Refused) as caught:
        load_concepts(folder, book())
    assert str(caught.value) == f"{path} does not hold the weights of {SMALL!r}. Save it again."
    path.write_bytes(b"nothing")
    with pytest.raises(Refused, match="concepts.safetensors cannot be read"):
        load_concepts(folder, book())
    path.unlink()
    with pytest.raises(Missing) as missing:
        load_concepts(folder, book())
    assert str(missing.value) == (
        f"{path} is not there. Copy the whole folder of the concept model."
    )


def test_a_record_that_cannot_be_used_is_refused(tmp_path):
    folder = saved(tmp_path)
    path = folder / "concepts.json"
    changed(folder, lambda about: about["extractor"].update(kind="CNNN"))
    with pytest.raises(Refused) as caught:
        load_concepts(folder, book())
    assert str(caught.value) == (
        "there is no extractor of the kind 'CNNN'. Did you mean 'CNN'? "
        "Known: CNN, ResNet, Transformer, Bottlenecked."
    )
    changed(folder, lambda about: about["extractor"].update(kind="CNN"))
    changed(folder, lambda about: about["extractor"]["fields"].update(depth=3))
    with pytest.raises(Refused, match="concepts.json does not describe a concept model: TypeError"):
        load_concepts(folder, book())
    path.write_text("[]", "utf-8")
    with pytest.raises(Refused) as caught:
        load_concepts(folder, book())
    assert str(caught.value) == f"{path} cannot be read: it holds no record. Save it again."
    path.unlink()
    with pytest.raises(Missing) as missing:
        load_concepts(folder, book())
    assert str(missing.value) == f"{path} is not there. Give the folder of a concept model."


@dataclass(frozen=True)
class Strange:
    """Not one of ours."""

    def build(self, width, grid, classes):
        return SMALL.build(width, grid, classes)


def test_what_cannot_be_saved_says_why(tmp_path):
    model = short(SMALL, epochs=1)
    with pytest.raises(BadInput) as caught:
        save_concepts(model, INNER, tmp_path)
    assert str(caught.value) == (
        f"the weights of cnn are not those of {INNER!r}. Give the extractor that it was trained as."
    )
    with pytest.raises(BadInput) as caught:
        save_concepts(model, Strange(), tmp_path)
    assert str(caught.value) == (
        "a concept model is kept as one of CNN, ResNet, Transformer, Bottlenecked; it is a "
        "Strange. Keep its weights yourself."
    )
    model.root[0].weight.data[0] = 1e6
    with pytest.raises(Refused) as refused:
        save_concepts(model, SMALL, tmp_path, half=True)
    assert str(refused.value) == (
        "cnn holds numbers that are not finite in half precision. Save it in full precision."
    )
    save_concepts(model, SMALL, tmp_path)


# ------------------------------------------------------------------------------------- refusals


def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path):
    training, validation, _ = parts()
    again = lambda book, tr, va, **how: train_concepts(  # noqa: E731
        SMALL, book, tr, va, folder=tmp_path, **{"epochs": 1, **how}
    )
    with pytest.raises(BadInput) as caught:
        again(book(), training, validation, epochs=0, batch=1)
    assert str(caught.value) == (
        "training a concept model needs an epoch, a batch of two or more, two images and one to "
        f"validate on; it got epochs=0, batch=1, {len(training)} and {len(validation)} images."
    )
    with pytest.raises(BadInput) as caught:
        again(Codebook(book().atoms[:9]), training, validation)
    assert str(caught.value) == (
        "the tokens are numbers of 14 entries; codebook has 9. "
        "Give the codebook that the tokens were made with."
    )
    other = TokenSet(validation.tokens, validation.labels, CONCEPTS[:3], (4, 9), ENTRIES)
    with pytest.raises(BadInput) as caught:
        again(book(), training, other)
    assert str(caught.value) == (
        "training and validation need the same concepts on the same grid; they have 4 on (6, 6) "
        "and 3 on (4, 9). Take both from one split."
    )
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_another_training_is_refused(tmp_path):
    short(SMALL, tmp_path, epochs=1)
    with pytest.raises(Refused) as caught:
        short(SMALL, tmp_path, epochs=1, seed=6, batch=8)
    assert str(caught.value) == (
        f"{tmp_path} holds a training of another batch and schedule and seed. "
        "Choose another folder, or remove it."
    )


def test_a_training_that_goes_nowhere_is_refused():
    with pytest.raises(Refused) as caught:
        short(SMALL, epochs=2, schedule=Staircase(1, lr=float("inf")))
    assert str(caught.value) == (
        "the loss on the validation images was not finite after any of 2 epochs. "
        "Lower the learning rate."
    )


def test_measuring_needs_images():
    none = parts()[2].some(torch.zeros(0, dtype=torch.long))
    with pytest.raises(BadInput) as caught:
        measured(trained(), none)
    assert str(caught.value) == (
        "measuring a concept model needs images to test it on; there are none."
    )
