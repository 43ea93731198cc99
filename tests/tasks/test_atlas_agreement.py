from functools import cache

import pytest
import torch
from PIL import Image

from legenda.agreement import opened
from legenda.atlas.entries import EvidenceEntry, ModelEntry, SetEntry
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import put_model, put_picture, put_set
from legenda.core.evidence import Attribution
from legenda.errors import BadInput
from legenda.tasks.atlas_agreement import checked, gather_agreement
from legenda.tasks.atlas_concept_pictures import Shown
from legenda.tasks.atlas_curves import beside, curve, dealt, row
from legenda.tasks.atlas_pictures import picture_entry, put_codes, reading
from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.world import draw
from tests.tasks.atlas_world import counted, digest_at

SEED, WRONG = 2_000_182, "a purple boat"


@cache
def model():
    return opened("zoo:scenes")


@pytest.fixture(autouse=True)
def opened_once(monkeypatch):
    monkeypatch.setattr("legenda.tasks.atlas_agreement.opened", lambda *_, **__: model())


def scenes():
    made = [Shown(Image.fromarray(photograph(draw(s), 128)), f"/me/{s}.png", draw(s).caption()) for s in (SEED, SEED + 1)]  # fmt: skip # noqa: E501
    return made, [[made[0].caption, WRONG], [made[1].caption]]


def codes(grid):
    n = grid[0] * grid[1]
    arrays = {"index": torch.zeros(n, 1, dtype=torch.int32), "weight": torch.ones(n, 1)}
    return EvidenceEntry("codes", arrays, {"grid": list(grid), "frame": [0.0, 0.0, 128.0, 128.0]})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place, patch = tmp_path_factory.mktemp("agreement") / "a", pytest.MonkeyPatch()
    patch.setattr("legenda.tasks.atlas_agreement.opened", lambda *_, **__: model())
    pictures, sentences = scenes()
    with Atlas(place, write=True) as atlas:
        one = put_model(atlas, ModelEntry("m", "m"))
        for number, grid in enumerate(((12, 12), (8, 8))):
            units = put_set(atlas, SetEntry(one, f"set {number}", "concept", 1))
            shown = put_picture(atlas, picture_entry(*pictures[0]))
            put_codes(atlas, units, {shown: codes(grid)})
        gather_agreement(atlas, "zoo:scenes", pictures, sentences, randoms=1)
    patch.undo()
    return place


def rows(atlas):
    return atlas.all("SELECT e.*, p.source, v.facts AS about FROM explanations e JOIN pictures p ON p.id = e.picture JOIN evidence v ON v.id = e.evidence ORDER BY e.id")  # fmt: skip # noqa: E501


def test_every_pair_has_a_map_in_nats_and_words(made):
    with Atlas(made) as atlas:
        found = rows(atlas)
        assert [row["source"] for row in found] == [f"{SEED}.png"] * 2 + [f"{SEED + 1}.png"]
        for one, sentence in zip(found, [s for some in scenes()[1] for s in some], strict=True):
            about, facts = loaded(one["about"]), loaded(one["facts"])
            arrays = atlas.arrays(one["evidence"])
            assert about["unit"] == "nats" and about["grid"] == [12, 12] == list(arrays["map"].shape)  # fmt: skip # noqa: E501
            assert about["frame"] == [0.0, 0.0, 128.0, 128.0]
            assert about["words"] == sentence.split() and len(arrays["words"]) == len(about["words"])  # fmt: skip # noqa: E501
            assert facts["sentence"] == sentence and one["by"] == "InformationBottleneck"
            assert float(arrays["map"].sum()) == pytest.approx(facts["image total"], rel=1e-4)


def test_what_does_not_match_is_warned_of(made):
    with Atlas(made) as atlas:
        flagged = {loaded(r["facts"])["sentence"]: loaded(r["facts"]) for r in rows(atlas)}
        assert [s for s, facts in flagged.items() if facts["flagged"]] == [WRONG]
        said = flagged[WRONG]
        assert said["warning"].startswith(f"the cosine {said['cosine']:.2f} stands out by ")
        assert said["standing"] <= said["least"]


def test_the_first_sentence_is_scored_beside_shuffled_maps(made):
    with Atlas(made) as atlas:
        found = atlas.all("SELECT s.*, e.facts FROM scores s JOIN explanations e ON e.id = s.explanation")  # fmt: skip # noqa: E501
        assert {loaded(r["facts"])["sentence"] for r in found} == {some[0] for some in scenes()[1]}
        deletion = [r for r in found if r["name"] == "deletion"]
        assert len(deletion) == 2 and all(r["value"] < r["control_low"] for r in deletion)


def test_its_nats_stand_beside_the_units_of_the_same_grid(made):
    with Atlas(made) as atlas:
        one = rows(atlas)[0]
        alike, other = (reading(atlas, s, one["picture"]) for s in (1, 2))
        assert alike is not None and other is not None and "nats" not in other.arrays
        drawn = atlas.arrays(one["evidence"])["map"]
        assert torch.equal(alike.arrays["nats"], drawn.flatten())
        assert alike.facts["nats"] == f"of {scenes()[1][0][0]!r}"


def test_curves_begin_and_end_where_maps_do_not_matter(made):
    with Atlas(made) as atlas:
        found = {r["key"]: loaded(r["content"]) for r in atlas.all("SELECT * FROM results")}
        deletion, insertion = found["m2ib deletion"], found["m2ib insertion"]
        for held in (deletion, insertion):
            own, control = held["curves"]
            assert not own["control"] and control["control"] and own["n"] == 2
            assert own["y"][0] == pytest.approx(control["y"][0], abs=1e-4)
            assert own["y"][-1] == pytest.approx(control["y"][-1], abs=1e-4)
            assert own["x"][0] == 0 and own["x"][-1] == 1 and len(own["x"]) == len(own["y"]) == 9
        assert deletion["better"] == "lower" and insertion["better"] == "higher"
        table = deletion["table"][0]
        assert table["value"] < table["control"] and table["system"] == "M2IB"


def test_the_same_twice_is_the_same_and_costs_nothing(made, monkeypatch):
    before = digest_at(made)
    monkeypatch.setattr("legenda.tasks.atlas_agreement.explanations", None)
    with Atlas(made, write=True) as atlas:
        gather_agreement(atlas, "zoo:scenes", *scenes(), randoms=1)
    assert digest_at(made) == before


def test_one_that_was_stopped_goes_on(made, tmp_path, monkeypatch):
    from legenda.tasks import atlas_agreement

    scored = atlas_agreement.judged

    def stop(dual, found, randoms, seed):
        if found.sentence == scenes()[1][1][0]:
            raise KeyboardInterrupt
        return scored(dual, found, randoms, seed)

    with Atlas(tmp_path / "b", write=True) as atlas:
        with monkeypatch.context() as patch:
            patch.setattr(atlas_agreement, "judged", stop)
            with pytest.raises(KeyboardInterrupt):
                gather_agreement(atlas, "zoo:scenes", *scenes(), randoms=1)
        assert counted(atlas, "explanations") == 2 and not counted(atlas, "results")
        gather_agreement(atlas, "zoo:scenes", *scenes(), randoms=1)
        assert counted(atlas, "explanations") == 3 and counted(atlas, "results") == 2
        whole = [loaded(r["content"]) for r in atlas.all("SELECT content FROM results ORDER BY key")]  # fmt: skip # noqa: E501
    with Atlas(made) as atlas:
        assert whole == [loaded(r["content"]) for r in atlas.all("SELECT content FROM results ORDER BY key")]  # fmt: skip # noqa: E501


def test_nothing_need_be_scored(tmp_path):
    pictures, _ = scenes()
    with Atlas(tmp_path / "b", write=True) as atlas:
        gather_agreement(atlas, "zoo:scenes", pictures[:1], [["a boat"]], randoms=0, curves=False)
        assert counted(atlas, "explanations") == 1
        assert not counted(atlas, "scores") and not counted(atlas, "results")


@pytest.mark.parametrize(
    ("many", "sentences", "said"),
    [
        (0, [], "it got 0 pictures and 0 lists of sentences, 0 of them empty."),
        (2, [["a"]], "it got 2 pictures and 1 lists of sentences, 0 of them empty."),
        (2, [["a"], []], "it got 2 pictures and 2 lists of sentences, 1 of them empty."),
    ],
)
def test_pictures_without_sentences_are_refused(many, sentences, said):
    with pytest.raises(BadInput) as caught:
        checked(scenes()[0][:many], sentences, 1)
    assert str(caught.value) == (
        f"an agreement needs pictures, and for each of them one sentence or more; {said} Give a "
        "list for each picture."
    )


def test_less_than_no_control_is_refused():
    pictures, sentences = scenes()
    with pytest.raises(BadInput) as caught:
        checked(pictures, sentences, -1)
    assert str(caught.value) == "maps are held against 0 shuffled ones or more; it got -1."


def test_a_dealt_map_has_the_same_scores_elsewhere():
    scores = torch.arange(10.0).repeat(2, 1)
    drawn = torch.ones(2, 10, dtype=torch.bool)
    drawn[:, 0] = False
    found = Attribution(torch.zeros(2, 3, 4, 4), scores, drawn, (3, 3), "nats")
    other, again = dealt(found, 1), dealt(found, 1)
    assert torch.equal(other.scores, again.scores)
    assert not torch.equal(other.scores, scores) and not torch.equal(*other.scores)
    assert torch.equal(other.scores.sort(1).values, scores) and (other.scores[:, 0] == 0).all()


def test_a_curve_of_one_picture_has_no_interval():
    assert "low" not in curve("a", "A", [0.0, 1.0], torch.tensor([[1.0, 0.5]]).double(), 0)
    y = torch.tensor([[1.0, 0.5], [0.75, 0.25]], dtype=torch.float64)
    said = curve("a", "A", [0.0, 1.0], y, 0, control=True)
    assert said["y"] == [0.875, 0.375] and said["n"] == 2 and said["control"]
    assert said["low"] == [0.75, 0.25] and said["high"] == [1.0, 0.5]
    line = row("a", "A", beside("area", y[:1, 0], y[:1, 1], 0, False))
    assert line["value"] == 1.0 and line["low"] is None and line["control_high"] is None
