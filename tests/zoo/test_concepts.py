from dataclasses import replace

import numpy as np
import pytest
import torch

from legenda.corpus.unit_statistics import EDGES
from legenda.errors import BadInput
from legenda.tasks.concept_folder import SHIPPED, concept_folder
from legenda.tasks.learners import learner_of
from legenda.tasks.reading import Reader
from legenda.zoo import concepts
from legenda.zoo.scenes.concept_pictures import (
    HELD_OUT,
    TRAIN,
    DrawnScenes,
    cover,
    factors,
    masks,
)
from legenda.zoo.scenes.render import render
from legenda.zoo.scenes.world import draw

SHIPS = [name for name, path in SHIPPED.items() if path.is_dir()]


@pytest.mark.parametrize("name", SHIPS)
def test_what_ships_belongs_together_and_is_small(name):
    folder = concept_folder(name)
    dictionary, about = folder.dictionary()
    survey, names, relations = folder.survey(), folder.names(), folder.relations()
    k = len(dictionary.atoms)
    assert len(survey) == len(names) == k and about.model.startswith(f"{name}@patches")
    assert relations is not None and all(0 <= e.child < k for e in relations.edges)
    assert about.figures["fvu"] < 0.6 and 1 < about.figures["l0"] < 20
    assert sum(p.stat().st_size for p in folder.path.iterdir()) < 5_000_000
    named = [n for n in names if n.word]
    assert named and all(n.score > n.null for n in named if n.by != "a person")
    assert all(n.check is not None for n in named)


def test_shipped_concepts_read_a_scene_that_none_was_fitted_to():
    reader = Reader.of("zoo:scenes")
    seed = HELD_OUT + 20_000
    read = reader.seen(DrawnScenes(seed, 1).open(0), "a scene", 6)
    assert len(read.concepts) == 6 and read.caption is not None
    assert all(c.map.shape == (12, 12) and c.strongest > 0 for c in read.concepts)
    again = reader.seen(DrawnScenes(seed, 1).open(0), "a scene", 6)
    assert [c.unit for c in again.concepts] == [c.unit for c in read.concepts]


def test_a_colour_is_found_where_it_is():
    """The unit that fits yellow best on some scenes lies on yellow in others, not by chance."""
    reader, scenes = Reader.of("zoo:scenes"), DrawnScenes(HELD_OUT + 30_000, 48)
    truth = cover(scenes, [("colour", "yellow")])[..., 0]
    x = reader.model.pixels([scenes.open(i) for i in range(48)])
    codes = reader.dictionary.encode(torch.cat([reader.model.acts(p) for p in x.split(16)]))
    dense = codes.dense()
    first = (dense[:24] * (2 * truth[:24, :, None] - 1)).sum((0, 1))
    unit = int(first.argmax())
    on = dense[24:, :, unit]
    purity = float((on * truth[24:]).sum() / on.sum())
    assert purity > 0.5 > 4 * float(truth[24:].mean())


def test_slim_keeps_counts_and_brackets_quantiles():
    folder = concept_folder("zoo:scenes")
    found = folder.survey()
    assert found.together.nnz == 0 and found.exemplars.index.shape[2] == 1
    unit = int(np.argmax(found.active))
    assert found.histogram[unit].sum() == found.active[unit]
    low, high = found.quantile_bounds(unit, 0.5)
    assert low < high <= 2.01 * low, "a bin is an octave"


def test_slim_merges_bins_at_their_edges():
    found = concept_folder("zoo:scenes").survey()
    edges = np.array(EDGES)
    k, bins = len(found), len(edges) - 1
    counts = np.random.default_rng(0).integers(0, 9, (k, bins))
    whole = replace(found, edges=edges, histogram=counts)
    small = concepts.slim(whole)
    assert small.edges[0] == edges[0] and small.edges[-1] == edges[-1]
    assert set(small.edges.tolist()) <= set(edges.tolist())
    for low, high, held in zip(small.edges[:-1], small.edges[1:], small.histogram[3], strict=True):
        inside = (edges[:-1] >= low) & (edges[1:] <= high)
        assert held == counts[3, inside].sum()


def test_masks_say_where_each_factor_is():
    wanted = factors()
    picture = render(draw(TRAIN))
    found = masks(TRAIN, wanted)
    for row, (aspect, value) in zip(found, wanted, strict=True):
        if aspect == "kind":
            shown = [m for t, m in zip(picture.scene.things, picture.seen, strict=True) if t.kind == value]  # fmt: skip # noqa: E501
            assert (row == np.any(shown, axis=0)).all() if shown else not row.any()
    ground = wanted.index(("ground", picture.scene.ground))
    assert (found[ground] == ~picture.seen.any(0)).all()
    share = cover(DrawnScenes(TRAIN, 1), wanted)[0]
    assert share[:, ground].mean() == pytest.approx(float(found[ground].mean()), abs=1e-6)


def test_scenes_are_functions_of_their_seeds():
    one, two = DrawnScenes(TRAIN, 3), DrawnScenes(TRAIN + 1, 3)
    assert np.array_equal(np.asarray(one.open(1)), np.asarray(two.open(0)))
    assert one.key(1) == two.key(0) and one.label(1) == two.label(0) and one.digest != two.digest


def test_every_recipe_can_be_learned_and_an_unknown_one_is_refused():
    for how in concepts.RECIPES.values():
        assert how.fit.learner().units == how.fit.units
    with pytest.raises(BadInput, match="concepts ship for scenes and photos; it got 'vq'."):
        concepts.make("vq", SHIPPED["zoo:scenes"])
    assert learner_of("random", 8, 2).units == 8
