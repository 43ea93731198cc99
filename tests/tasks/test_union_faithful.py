import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from legenda.agreement import opened
from legenda.atlas.store import Atlas, loaded
from legenda.core.model import Run
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.errors import BadInput
from legenda.explain.token_importance import TokenImportance
from legenda.measure.picture import measure
from legenda.measure.spread import spread
from legenda.tasks.union_faithful import Trial, row, share
from legenda.tasks.union_faithful_atlas import gather_faithful
from legenda.tasks.union_scenes import told_scenes
from legenda.tasks.union_trials import cells, concept, latents, patches
from tests.tasks import palette
from tests.tasks.atlas_world import counted
from tests.tasks.latent_world import ACROSS, DOWN, GROUND, HUE, SIZE, discs
from tests.tasks.palette import CONCEPTS


def trial(without=0.2, by_lot=0.9, pictures=12, seeds=2, **changes):
    """Pictures with one to lose, all of them a little different."""
    lot = torch.Generator().manual_seed(0)
    clean = 1 + 0.1 * torch.rand(pictures, generator=lot)
    noise = 0.05 * torch.randn(seeds, pictures, generator=lot)
    held = {
        "clean": clean, "nothing": torch.zeros(pictures), "without": without * clean + noise,
        "by_lot": by_lot * clean.expand(3, -1),
    }  # fmt: skip
    return Trial("Toy", "toy", "logit", "a tenth", **{**held, **changes})


def test_the_share_is_the_literal_ratio_over_pictures_and_seeds():
    one = trial()
    above = below = 0.0
    for b in range(12):
        below += float(one.clean[b] - one.nothing[b])
        above += sum(float(one.clean[b] - one.without[s, b]) for s in range(2)) / 2
    found = share(one)
    assert found.value == pytest.approx(above / below, rel=1e-6)
    assert found.interval[0] < found.value < found.interval[1]
    assert found.control == pytest.approx(0.1, abs=1e-6)
    assert found.n == 12
    assert found.beats_control


def test_a_method_that_is_no_better_than_lots_does_not_beat_them():
    one = trial()
    assert not share(trial(by_lot=0.2)).beats_control
    assert share(trial(without=-0.5)).value > 1
    assert row(one)["seeds"] == 2
    assert np.mean(row(one)["by seed"]) == pytest.approx(row(one)["value"])


def test_the_unit_is_the_same_whatever_a_system_counts_in():
    one, ten = trial(), trial()
    scaled = Trial("Toy", "toy", "cosine", "a tenth", *(10 * v - 3 for v in (ten.clean, ten.nothing, ten.without, ten.by_lot)))  # fmt: skip # noqa: E501
    assert share(scaled).value == pytest.approx(share(one).value, rel=1e-5)
    assert share(scaled).control == pytest.approx(share(one).control, rel=1e-4)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            lambda: trial(by_lot=0.9, pictures=1),
            "faithfulness of Toy needs two pictures or more, a seed and 3 draws by lot; it got 1, "
            "2 and 3.",
        ),
        (
            lambda: trial(nothing=torch.full((12,), math.nan)),
            "faithfulness of Toy got numbers that are not finite. Find out why.",
        ),
        (
            lambda: share(trial(nothing=torch.full((12,), 2.0))),
            "Toy has nothing to lose: its logit is 1.05 of whole pictures and 2 of nothing. Take "
            "pictures that show what is asked.",
        ),
    ],
)
def test_what_compares_nothing_is_refused(made, said):
    with pytest.raises(BadInput) as caught:
        made()
    assert str(caught.value) == said


def test_planted_cells_that_are_sought_are_what_a_logit_loses():
    tokens, labels = palette.grids(24)
    numbers = [CONCEPTS.index(one) for one in labels]
    how = {s: TokenImportance(draws=8, seed=s) for s in range(3)}
    made = cells(palette.seeker(), torch.from_numpy(tokens), numbers, how, "slope")
    found = share(made)
    assert (made.system, made.part) == ("CORTEX", "25% of the cells")
    assert found.value > 0.8
    assert found.control < 0.5
    assert found.beats_control
    assert len(made.without) == 3


class Patches:
    """Patches in the space of sentences; a sentence is its own axis."""

    name, ref, grid, templates = "axes", "axes", (2, 2), {"noun": ("{}",)}

    def acts(self, x):
        return x.flatten(2).mT

    def run(self, x, edit=None):
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, lambda: normalize(acts.mean(1), dim=1))

    def embed_text(self, texts):
        return torch.eye(4)[[int(text) for text in texts]]


def test_planted_the_named_concept_holds_the_likeness_to_its_name():
    lot = torch.Generator().manual_seed(0)
    x = torch.rand(10, 4, 2, 2, generator=lot)
    x[:, 1] += 2
    made = LinearDictionary(torch.eye(4), torch.zeros(4), Projection(4, False), "axes")
    words = {i: str(i) for i in range(4)}
    found = concept(Patches(), made, x, words)
    assert share(found).value == pytest.approx(1)
    assert share(found).control < 0.4
    assert len(found.by_lot) == 3
    with pytest.raises(BadInput) as caught:
        concept(Patches(), made, 0 * x, words)
    assert str(caught.value) == (
        "concepts are judged on two pictures or more with named ones; of 10 there are 0."
    )


def test_planted_latents_hold_the_attributes_that_they_are_named_by():
    units = discs()
    z = torch.randn(24, 1, 8, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        scale = spread(measure(units.model.decode(z).clamp(0, 1)))
    names, active = {SIZE: "size", GROUND: "background"}, [ACROSS, SIZE, GROUND, DOWN, HUE]
    found = share(latents(units.model, names, active, z, scale))
    assert found.value > 0.8
    assert abs(found.control) < 0.3
    with pytest.raises(BadInput) as caught:
        latents(units.model, {HUE: "hue"}, active, z, scale)
    assert str(caught.value) == (
        "latents are judged where one is named by an attribute, and another is active; there are 0 "
        "and 5."
    )


def test_planted_patches_of_what_is_named_hold_the_cosine():
    told = told_scenes(3)
    pictures, said = [t.shown.picture for t in told], [t.sentence for t in told]
    found = share(patches(opened("zoo:scenes"), pictures, said, seeds=(0,)))
    assert found.value > 0.5
    assert found.control < found.value - 0.2


def test_one_table_of_all_systems_is_made_once(tmp_path):
    calls = []

    def make(without):
        calls.append(without)
        return trial(without)

    trials = {"one": lambda: make(0.2), "two": lambda: make(0.5)}
    with Atlas(tmp_path, write=True) as atlas:
        study = gather_faithful(atlas, trials, {"of": "toys"})
        found = loaded(atlas.value("SELECT content FROM results WHERE kind = 'faithfulness'"))
        assert found["better"] == "higher"
        assert [one["system"] for one in found["table"]] == ["Toy", "Toy"]
        keys = {"system", "name", "value", "low", "high", "n", "control", "control_low", "control_high"}  # fmt: skip # noqa: E501
        assert keys <= set(found["table"][0])
        assert gather_faithful(atlas, trials, {"of": "toys"}) == study
        assert calls == [0.2, 0.5]
        assert counted(atlas, "results") == 1
        with pytest.raises(BadInput) as caught:
            gather_faithful(atlas, {}, {})
    assert str(caught.value) == "a table of faithfulness needs one system or more; it got none."
