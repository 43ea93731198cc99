"""The loop: what is kept, what is skipped, what fails, and what a kill leaves."""

import errno
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path
from types import SimpleNamespace as Namespace

import numpy as np
import pytest
import torch

from legenda.atlas.corrections import rename, undo
from legenda.atlas.store import Atlas, loaded
from legenda.core.codebook import Codebook
from legenda.core.dictionary import Identity
from legenda.core.explanation import Score
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.dictionaries.directions import Directions
from legenda.errors import BadInput, Missing, Refused
from legenda.explain.occlusion import Occlusion
from legenda.score.insertion_deletion import Deletion
from legenda.study import CHUNK, sensible, study
from legenda.tasks import run_keeper
from legenda.tasks.run_entries import kind_of
from legenda.tasks.run_identity import content, networks, weights_digest
from legenda.tasks.run_kept import Placed
from tests.corpus.survey_world import Nursery, toy_units
from tests.study_world import (
    BROKEN,
    SILENT,
    UNITS,
    Failing,
    InChunks,
    InTurn,
    Mapped,
    Mean,
    Painted,
    WideVAE,
    Words,
    digest,
    run,
    sound,
    twice,
    units,
)
from tests.toys import ToyEncoder, pixels

GOOD = [i for i in range(UNITS) if i not in BROKEN]
JOBS = ("tests.study_world:one_study", "tests.study_world:full_study")


def rows(folder, query):
    with Atlas(folder) as atlas:
        return [tuple(row) for row in atlas.all(query)]


def heard(folder, explain=None, **options):
    """What became of each target."""
    steps = []
    run(folder, explain, told=steps.append, **options)
    return {step.target.rpartition("/")[2]: (step.state, step.why) for step in steps}


# ------------------------------------------------------------------------ what is kept


def test_every_unit_has_its_row_and_every_explanation_its_parts(tmp_path):
    made = run(tmp_path / "a")
    assert [one.target for one in made] == [f"wide-vae/latents/{i}" for i in GOOD]
    states = dict(rows(tmp_path / "a", "SELECT number, state FROM units"))
    assert {n for n, state in states.items() if state == "unread"} == set(BROKEN)
    assert {n for n, state in states.items() if state == "abstained"} == set(SILENT)
    assert {n for n, state in states.items() if state == "named"} == set(GOOD) - set(SILENT)
    with Atlas(tmp_path / "a") as atlas:
        one = atlas.one("SELECT * FROM explanations WHERE target = 'latent 3'")
        arrays = atlas.arrays(one["evidence"])
        kind = atlas.value("SELECT kind FROM evidence WHERE id = ?", one["evidence"])
        said = atlas.all(
            "SELECT * FROM descriptions WHERE explanation = ? ORDER BY place", one["id"]
        )  # noqa: E501
        score = atlas.one("SELECT * FROM scores WHERE explanation = ?", one["id"])
        unit = atlas.one("SELECT * FROM units WHERE id = ?", one["unit"])
    expected = made[GOOD.index(3)]
    assert kind == "sheet" and arrays["images"].dtype == torch.uint8
    assert torch.equal(arrays["images"][0], (expected.evidence.images * 255).round().byte())
    assert arrays["values"].tolist() == [0, 1, 2]
    assert [s["text"] for s in said] == [d.text for d in expected.descriptions]
    assert [s["certainty"] for s in said] == [0.75, None]
    assert (score["value"], score["low"], score["high"], score["n"]) == (
        expected.scores[0].value,
        0,
        1,
        8,
    )  # noqa: E501
    assert (score["control"], score["control_low"], score["control_high"]) == (0.5, 0.25, 0.75)
    assert one["by"] == "Painted" and loaded(one["facts"])["method"] == repr(Painted())
    assert (unit["label"], unit["name"], unit["certainty"]) == ("latent 3", said[0]["text"], 0.75)
    assert unit["score"] == score["value"] and loaded(unit["facts"]) == {"score": "mean"}


def test_silence_has_its_reason(tmp_path):
    run(tmp_path / "a")
    found = rows(tmp_path / "a", "SELECT name, why, certainty FROM units WHERE number = 7")
    assert found == [("", "its answers disagree", 0.125)]


def test_model_set_and_study_say_what_they_are(tmp_path):
    run(tmp_path / "a", title="A title", command="legenda run it", settings={"a": 1}, kind="units")
    assert rows(tmp_path / "a", "SELECT ref, name, site FROM models") == [
        ("tests.study_world:WideVAE", "wide-vae", "latents")
    ]
    assert rows(tmp_path / "a", "SELECT dictionary, kind, size FROM sets") == [
        ("latents", "latent", UNITS)
    ]  # noqa: E501
    found = rows(tmp_path / "a", "SELECT kind, title, settings, command, ended FROM studies")[0]
    assert found[:4] == ("units", "A title", '{"a":1}', "legenda run it") and found[4]


def test_of_one_input_a_map_and_its_scores_are_one_explanation(tmp_path):
    x, seen = pixels(1), units()
    with Atlas(tmp_path / "a", write=True) as atlas:
        placed = [Placed(None, (0.0, 0.0, 48.0, 48.0), "a.png")]
        list(study(seen, x, [seen[3]], Mapped(), (), (), atlas, placed=placed))
        (one,) = atlas.all("SELECT * FROM explanations")
        arrays = atlas.arrays(one["evidence"])
        evidence = atlas.one("SELECT kind, facts FROM evidence")
    assert evidence["kind"] == "attribution" and set(arrays) == {"map"}
    assert torch.equal(arrays["map"], Mapped()(seen, x, seen[3]).map()[0])
    assert loaded(evidence["facts"]) == {
        "frame": [0, 0, 48, 48],
        "grid": [2, 2],
        "unit": "of white",
    }
    assert loaded(one["facts"]) == {"method": "Mapped()", "mean": float(x.mean((1, 2, 3)))}


def test_of_several_inputs_each_has_its_map_and_all_have_one_score(tmp_path):
    class Bright:
        def __call__(self, units, x, target, explanation):
            return Score("bright", 0.5, (-torch.inf, torch.inf), len(x))

    x, seen = pixels(3), units()
    with Atlas(tmp_path / "a", write=True) as atlas:
        list(study(seen, x, [seen[3]], Mapped(), (), [Bright()], atlas))
        query = "SELECT e.*, name, low FROM explanations e LEFT JOIN scores ON id = explanation"
        found = atlas.all(query)
        maps = [atlas.arrays(one["evidence"])["map"] for one in found[:3]]
    assert [one["name"] for one in found] == [None, None, None, "bright"]
    assert found[3]["evidence"] is None and loaded(found[3]["facts"])["inputs"] == 3
    assert found[3]["low"] is None  # of an interval without ends nothing is known
    assert torch.equal(torch.stack(maps), Mapped()(seen, x, seen[3]).map())


def test_a_target_that_is_no_unit_changes_no_unit(tmp_path):
    seen = Units(ToyEncoder().eval(), Identity(6))
    with Atlas(tmp_path / "a", write=True) as atlas:
        list(study(seen, pixels(1), [Logit(1)], Occlusion(), [], [Deletion(steps=2)], atlas))
        (one,) = atlas.all("SELECT unit, target, facts FROM explanations")
        assert not atlas.all("SELECT * FROM units")
        assert atlas.value("SELECT kind FROM sets") == "neuron"
        assert atlas.value("SELECT name FROM scores") == "deletion"
    assert (one["unit"], one["target"]) == (None, "logit 1")
    assert "Occlusion(" in loaded(one["facts"])["method"]


def test_units_are_of_the_kind_that_their_dictionary_says(tmp_path):
    atoms = torch.eye(6)
    kinds = {
        "token": Units(ToyEncoder(), Codebook(atoms)),
        "latent": units(),
        "neuron": Units(ToyEncoder(), Identity(6)),
        "direction": Units(ToyEncoder(), Directions(atoms, list("abcdef"))),
        "concept": toy_units(),
    }
    assert {kind: kind_of(one) for kind, one in kinds.items()} == {kind: kind for kind in kinds}
    seen = units()
    with Atlas(tmp_path / "a", write=True) as atlas:
        list(study(seen, pixels(2), [seen[3]], Painted(), (), (), atlas, unit_kind="concept"))
        assert atlas.value("SELECT kind FROM sets") == "concept"
        assert atlas.value("SELECT label FROM units") == "concept 3"


def test_what_another_study_said_of_a_set_and_a_unit_stays(tmp_path):
    run(tmp_path / "a")
    with Atlas(tmp_path / "a", write=True) as atlas, atlas.writing() as base:
        base.execute("""UPDATE sets SET card = '{"explained":0.9}'""")
        base.execute("""UPDATE units SET facts = '{"nats":2.5,"score":"mean"}'""")
        before = [tuple(row) for row in atlas.all("SELECT state, said, certainty FROM units")]
    seen = units()
    with Atlas(tmp_path / "a", write=True) as atlas:
        judge = [Deletion(steps=2)]
        list(study(seen, pixels(2), [seen[3]], Mapped(), (), judge, atlas))
        assert atlas.value("SELECT card FROM sets") == '{"explained":0.9}'
        (facts, score) = atlas.one("SELECT facts, score FROM units WHERE number = 3")
        assert loaded(facts) == {"nats": 2.5, "score": "deletion"}
        assert score == atlas.value("SELECT value FROM scores WHERE name = 'deletion'")
        assert [
            tuple(row) for row in atlas.all("SELECT state, said, certainty FROM units")
        ] == before  # noqa: E501


# ------------------------------------------------------------------------ what is skipped


def test_what_is_held_is_not_done_again(tmp_path):
    run(tmp_path / "a")
    before = digest(tmp_path / "a")
    found = heard(tmp_path / "a")
    assert {found[str(i)] for i in GOOD} == {("held", "")}
    assert {found[str(i)][0] for i in BROKEN} == {"left"}
    assert digest(tmp_path / "a") == before and twice(tmp_path / "a") == 0


@pytest.mark.parametrize("change", ["explain", "describe", "score", "weights", "x", "dictionary"])
def test_whatever_a_result_depends_on_is_in_its_key(tmp_path, change):
    seen, x = units(), pixels(2)
    explain, describe, score = Painted(), [Words()], [Mean()]
    with Atlas(tmp_path / "a", write=True) as atlas:
        again = [explain, describe, score, x, seen]
        assert len(list(study(seen, x, [seen[0]], explain, describe, score, atlas))) == 1
        assert not list(study(seen, x, [seen[0]], explain, describe, score, atlas))
        if change == "explain":
            again[0] = Painted(steps=4)
        if change == "describe":
            again[1] = [Words(silent=())]
        if change == "score":
            again[2] = []
        if change == "x":
            again[3] = pixels(2, seed=2)
        if change == "weights":
            with torch.no_grad():
                seen.model.encoder.bias[0] += 1
        if change == "dictionary":
            again[4] = Units(seen.model, Identity(UNITS, "other"))
        explain, describe, score, x, seen = again
        assert len(list(study(seen, x, [seen[0]], explain, describe, score, atlas))) == 1


def test_what_a_repr_hides_is_no_part_of_the_key(tmp_path):
    run(tmp_path / "a", Painted(pause=0.0))
    assert not run(tmp_path / "a", Painted(pause=0.001))


def test_stopped_anywhere_it_goes_on(tmp_path):
    run(tmp_path / "a")
    seen, x = units(), pixels(2)
    with Atlas(tmp_path / "b", write=True) as atlas:
        loop = study(
            seen, x, [seen[i] for i in range(UNITS)], Painted(), [Words()], [Mean()], atlas
        )  # noqa: E501
        first = [one.target for one in islice(loop, 9)]
        loop.close()
        assert atlas.value("SELECT count(*) FROM explanations") == 9
        assert atlas.value("SELECT ended FROM studies") is None
    rest = [one.target for one in run(tmp_path / "b")]
    assert not set(first) & set(rest) and len(first) + len(rest) == len(GOOD)
    assert digest(tmp_path / "b") == digest(tmp_path / "a")


def test_a_correction_outlives_another_study(tmp_path):
    run(tmp_path / "a")
    with Atlas(tmp_path / "a", write=True) as atlas, atlas.writing() as base:
        base.execute(
            """INSERT INTO corrections (unit, name, by, at, state)
               SELECT id, 'mine', 'me', '', state FROM units WHERE number = 7"""
        )
        base.execute("UPDATE units SET name = 'mine', state = 'named' WHERE number = 7")
    run(tmp_path / "a", Painted(steps=5))
    found = rows(
        tmp_path / "a",
        "SELECT u.name, u.state, c.state FROM units u JOIN corrections c ON c.unit = u.id",
    )  # noqa: E501
    assert found == [("mine", "named", "abstained")]


def test_two_at_once_do_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(run_keeper, "HOLD", 0.0)
    run(tmp_path / "a")
    folder, seen, x = tmp_path / "b", units(), pixels(2)
    targets = [seen[i] for i in range(UNITS)]
    with Atlas(folder, write=True) as one, Atlas(folder, write=True) as other:
        loops = [study(seen, x, targets, Painted(), [Words()], [Mean()], a) for a in (one, other)]
        for _ in zip_longest(*loops):
            pass
    assert digest(folder) == digest(tmp_path / "a") and twice(folder) == 0


# ------------------------------------------------------------------------ identity


class Plain:
    """It has no repr of its own, and so one with an address in memory."""

    def __init__(self, value):
        self.value = value


@dataclass(frozen=True)
class Secretive:
    """What its repr hides."""

    steps: int = 3
    password: str = field(default="", repr=False)
    spread: torch.Tensor | None = field(default=None, repr=False)


def test_equal_things_have_equal_content_wherever_they_are():
    assert content(Plain(3)) == content(Plain(3)) != content(Plain(4))
    assert content({"b": (1, 2.5), "a": {3, 1}}) == {"b": [1, 2.5], "a": ["1", "3"]}
    assert content(float("nan")) == "nan" and content(None) is None and content(True) is True
    assert content(Path("a/b")) == "a/b" and content(pixels) == "tests.toys:pixels"
    assert content(torch.ones(2)) == content(torch.ones(2)) != content(torch.ones(2).double())
    assert content(np.ones(2)) == content(np.ones(2)) != content(np.zeros(2))
    assert content(WideVAE()) == content(WideVAE()) != content(WideVAE(seed=1))


def test_a_password_is_hidden_and_a_tensor_is_not():
    assert content(Secretive(password="x")) == content(Secretive())
    assert content(Secretive(spread=torch.ones(2))) != content(Secretive(spread=torch.zeros(2)))
    assert content(Secretive(steps=4)) != content(Secretive())


def test_weights_are_read_again_after_they_were_changed():
    model = WideVAE()
    before = weights_digest(model)
    assert weights_digest(model) == before == weights_digest(WideVAE()) and len(before) == 32
    with torch.no_grad():
        model.decoder.bias[0] += 1
    after = weights_digest(model)
    assert after != before
    model.decoder.bias = torch.nn.Parameter(torch.zeros_like(model.decoder.bias))
    assert weights_digest(model) not in (before, after)
    assert weights_digest(object()) == ""


def test_networks_are_found_wherever_a_model_keeps_them():
    one, other = WideVAE(), WideVAE(seed=1)
    held = Namespace(
        image=Namespace(root=one), text=Namespace(root=other), model=Namespace(module=one)
    )  # noqa: E501
    assert networks(held) == [one, other]
    assert weights_digest(held) not in (weights_digest(one), weights_digest(other))
    assert weights_digest(Namespace(root=one)) == weights_digest(one)


# ------------------------------------------------------------------------ chunks


@pytest.mark.parametrize("stops", [(3, CHUNK + 1), (CHUNK - 1,)], ids=["some left", "one left"])
@pytest.mark.parametrize("explain", [InTurn(), InChunks(broken=())])
def test_a_chunk_is_the_same_however_it_was_interrupted(tmp_path, explain, stops):
    run(tmp_path / "a", explain)
    seen, x = units(), pixels(2)
    for stop in stops:
        with Atlas(tmp_path / "b", write=True) as atlas:
            loop = study(
                seen, x, [seen[i] for i in range(UNITS)], explain, [Words()], [Mean()], atlas
            )  # noqa: E501
            assert len(list(islice(loop, stop))) == stop
            loop.close()
    run(tmp_path / "b", explain)
    assert digest(tmp_path / "b") == digest(tmp_path / "a") and twice(tmp_path / "b") == 0


@pytest.mark.parametrize("explain", [InTurn(), InChunks()])
def test_one_that_fails_does_not_take_its_chunk_with_it(tmp_path, explain):
    assert len(run(tmp_path / "a", explain)) == len(GOOD)
    failed = rows(tmp_path / "a", "SELECT target, reason FROM failures ORDER BY target")
    assert failed == [
        (f"wide-vae/latents/{i}", f"unit {i} is broken. Mend it.") for i in sorted(BROKEN, key=str)
    ]


# ------------------------------------------------------------------------ failures


def test_a_failure_is_left_alone_until_it_is_retried(tmp_path):
    with_ = {i: BadInput("no luck.") for i in (3, 4)}
    explain = Failing(broken=(), with_=with_)
    assert heard(tmp_path / "a", explain)["3"] == ("failed", "no luck.")
    with_.pop(3)
    assert heard(tmp_path / "a", explain)["3"] == ("left", "no luck.")
    assert heard(tmp_path / "a", explain, retry=True)["3"] == ("done", "")
    failures = rows(tmp_path / "a", "SELECT target, reason, tries FROM failures")
    assert failures == [("wide-vae/latents/4", "no luck.", 2)]
    with_.clear()
    run(tmp_path / "a", explain, retry=True)
    run(tmp_path / "b", Failing(broken=()))
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_what_torch_and_the_disk_say_is_kept_with_its_place(tmp_path):
    with_ = {3: RuntimeError("shapes do not fit"), 4: OSError(5, "Input/output error")}
    found = heard(tmp_path / "a", Failing(broken=(), with_=with_))
    state, why = found["3"]
    assert state == "failed"
    assert why.startswith("RuntimeError: shapes do not fit (study_world.py, line ")
    assert found["4"][1].startswith("OSError: [Errno 5] Input/output error (study_world.py, line ")


@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, "No space left"), TypeError("a fault")])
def test_a_full_disk_and_a_fault_of_the_code_end_it_and_keep_what_came_before(tmp_path, problem):
    with pytest.raises(type(problem)):
        run(tmp_path / "a", Failing(broken=(), with_={3: problem}))
    assert rows(tmp_path / "a", "SELECT target FROM explanations") == [
        (f"latent {i}",) for i in range(3)
    ]  # noqa: E501
    assert not rows(tmp_path / "a", "SELECT * FROM failures")


def test_without_an_atlas_a_failure_is_raised_unless_someone_hears_of_it():
    seen = units()
    with pytest.raises(BadInput, match="unit 5 is broken. Mend it."):
        list(study(seen, pixels(2), [seen[5]], Painted()))
    steps = []
    assert not list(study(seen, pixels(2), [seen[5]], Painted(), told=steps.append))
    assert [(s.state, s.why) for s in steps] == [("failed", "unit 5 is broken. Mend it.")]


def test_progress_counts_what_was_held(tmp_path):
    run(tmp_path / "a")
    said = []
    run(tmp_path / "a", report=lambda *one: said.append(one), retry=True)
    assert said[0] == ("wide-vae/latents/5", UNITS - 2, UNITS)
    assert said[-1] == ("wide-vae/latents/13", UNITS, UNITS)


def test_an_atlas_that_is_only_read_is_refused(tmp_path):
    run(tmp_path / "a")
    seen = units()
    with Atlas(tmp_path / "a") as atlas, pytest.raises(Refused) as refused:
        list(study(seen, pixels(2), [seen[0]], Painted(), (), (), atlas))
    assert str(refused.value) == f"{tmp_path / 'a'} was opened to read. Open it with write=True."


# ------------------------------------------------------------------------ kills and full disks


def test_nothing_waits_longer_than_it_may(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(run_keeper.time, "monotonic", lambda: clock[0])
    seen = units()
    with Atlas(tmp_path / "a", write=True) as atlas, Atlas(tmp_path / "a") as reader:
        for i, _ in enumerate(
            study(seen, pixels(2), [seen[i] for i in GOOD[:9]], Painted(), (), (), atlas)
        ):  # noqa: E501
            there = reader.value("SELECT count(*) FROM explanations")
            assert there == (0, 4, 7)[i // 3], i  # every third is the first after a second
            clock[0] += 0.4


def test_much_is_written_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(run_keeper.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(run_keeper, "MOST", 2 * 3 * (3 * 8 * 8) + 1)  # two sheets and a bit
    seen = units()
    with Atlas(tmp_path / "a", write=True) as atlas, Atlas(tmp_path / "a") as reader:
        loop = study(seen, pixels(2), [seen[i] for i in GOOD[:5]], Painted(), (), (), atlas)
        there = [reader.value("SELECT count(*) FROM explanations") for _ in loop]
    assert there == [0, 2, 2, 4, 4]


def test_a_write_that_failed_is_written_by_the_next(tmp_path, monkeypatch):
    seen, real, calls = units(), run_keeper.put_units, []

    def sometimes(atlas, entries):
        calls.append(len(entries))
        if len(calls) == 2:  # the first is of rows without names
            raise Missing("the disk is full.")
        return real(atlas, entries)

    monkeypatch.setattr(run_keeper, "put_units", sometimes)
    monkeypatch.setattr(run_keeper, "HOLD", 0.0)
    with Atlas(tmp_path / "a", write=True) as atlas:
        loop = study(seen, pixels(2), [seen[0], seen[1]], Painted(), [Words()], (), atlas)
        with pytest.raises(Missing, match="the disk is full."):
            list(loop)
        assert atlas.value("SELECT count(*) FROM explanations") == 1
        assert atlas.value("SELECT state FROM units WHERE number = 0") == "named"


def test_killed_or_on_a_full_disk_it_ends_with_the_same(tmp_path):
    with Nursery(*JOBS) as nursery:
        whole, finished = nursery.killed(0, tmp_path, 5, seed=3)
        full = tmp_path / "full"
        assert nursery.run(1, full)[1] == 0
    said = (full / "said.txt").read_text()
    assert said.startswith(str(full)) and "Make room" in said
    done = rows(full, "SELECT count(*) FROM explanations")[0][0]
    assert 0 < done < len(GOOD)
    run(full)
    expected = digest(whole)
    assert [digest(other) for other in [*finished, full]] == [expected] * (len(finished) + 1)
    assert [twice(other) for other in [whole, *finished, full]] == [0] * (len(finished) + 2)
    assert all(sound(other) for other in [whole, *finished, full])


# ------------------------------------------------------------------------ rows of units


@dataclass(frozen=True)
class Endless:
    """A score without end."""

    def __call__(self, units, x, target, explanation):
        return Score("ratio", float("inf"), (0.0, float("inf")), 8)


def judged(folder, score):
    """A study that says nothing, and judges."""
    seen = units()
    with Atlas(folder, write=True) as atlas:
        list(study(seen, pixels(2), [seen[3]], Painted(), (), [score], atlas))


def test_a_score_without_end_ranks_no_unit(tmp_path):
    judged(tmp_path / "a", Endless())
    assert rows(tmp_path / "a", "SELECT score FROM units WHERE number = 3") == [(None,)]
    judged(tmp_path / "a", Mean())
    ((score,),) = rows(tmp_path / "a", "SELECT score FROM units WHERE number = 3")
    assert 0 < score < 1


def test_a_study_that_only_judges_leaves_what_a_person_would_get_back(tmp_path):
    judged(tmp_path / "a", Mean())
    with Atlas(tmp_path / "a", write=True) as atlas:
        row = atlas.value("SELECT id FROM units WHERE number = 3")
        rename(atlas, row, "mine")
    judged(tmp_path / "a", Endless())
    with Atlas(tmp_path / "a", write=True) as atlas:
        undo(atlas, row)
        state, name = atlas.one("SELECT state, name FROM units WHERE id = ?", row)
        assert (state, name) == ("unread", ""), "nobody ever named it but the person"


# ------------------------------------------------------------------------ what is easily mistaken


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"atlas": "a"}, "a study is kept in an open atlas; it got 'a'. Open it: Atlas('a', write=True)."),  # noqa: E501
        ({"describe": Words()}, "describe of a study is a list; it got Words(silent=(2, 7, 8)). Put it in brackets."),  # noqa: E501
        ({"score": Mean()}, "score of a study is a list; it got Mean(). Put it in brackets."),
        ({"targets": "all"}, "targets of a study is a list; it got 'all'. Put it in brackets."),
        ({"unit_kind": "tokens"}, "there is no kind of units 'tokens'. Did you mean 'token' or 'latent'? Known: token, latent, neuron, concept, direction."),  # noqa: E501
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)  # fmt: skip
def test_what_is_easily_mistaken_is_refused_before_anything_is_done(tmp_path, given, said):
    asked = {"targets": [], "describe": [], "score": [], "atlas": None, "unit_kind": ""} | given
    with pytest.raises(BadInput) as caught:  # tests check types of `study` itself: users do not
        sensible(**asked)
    assert str(caught.value) == said


@pytest.mark.parametrize("given", [{"unit_kind": "soup"}, {"settings": {"x": float("nan")}}])
def test_what_is_refused_leaves_no_study(tmp_path, given):
    seen = units()
    with Atlas(tmp_path / "a", write=True) as atlas:
        with pytest.raises(BadInput):
            list(study(seen, pixels(2), [seen[0]], Painted(), (), (), atlas, **given))
        assert atlas.value("SELECT count(*) FROM studies") == 0
        assert atlas.value("SELECT count(*) FROM models") == 0
