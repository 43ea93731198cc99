"""A study file: what it means, what is the same, and every refusal with its line."""

import pytest
import torch
from PIL import Image

from legenda.atlas.store import Atlas
from legenda.catalog import names
from legenda.core.answer import Answer
from legenda.core.evidence import Frames
from legenda.core.sheet import Sheet
from legenda.errors import BadInput, LegendaError, Missing, Unsupported
from legenda.tasks.atlas_tokens import TokenSettings
from legenda.tasks.latent_describers import ByMeasure
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latents import study as study_latents
from legenda.tasks.run_file import EXAMPLE, read_run
from legenda.tasks.run_gather import gathered, gathering
from legenda.tasks.run_lines import Lines
from legenda.tasks.run_methods import MOVES, alone, explain_of, moved, scores_of
from legenda.tasks.run_pictures import pictures_of
from legenda.tasks.run_plan import checked, planned
from legenda.tasks.run_words import Answers

STUDY = (
    '[study]\nkind = "explain"\nmodel = "zoo:scenes"\nimages = "zoo:scenes"\ntargets = ["a car"]\n'  # noqa: E501
)
UNITS = '[study]\nkind = "units"\nmodel = "zoo:vae"\n'
LATENTS = '[study]\nkind = "latents"\nmodel = "zoo:vae"\n'
TOKENS = '[study]\nkind = "tokens"\nmodel = "zoo:vq"\n'
KNOWN = "kind, model, title, site, dictionary, images, labels, limit, targets, seed, device"


def read(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_text(text)
    return read_run(path)


def refused(tmp_path, text, check=lambda run: None):
    """What is said of a file, behind its name."""
    with pytest.raises(LegendaError) as problem:
        check(read(tmp_path, text))
    said = str(problem.value)
    assert said.startswith(f"{tmp_path / 's.toml'}")
    return said.removeprefix(f"{tmp_path / 's.toml'}")


# ------------------------------------------------------------------------ what it means


def test_the_example_is_a_study(tmp_path):
    run = read(tmp_path, EXAMPLE)
    checked(run)
    assert (run.said.study.kind, run.said.study.limit) == ("explain", 4)
    assert run.said.study.targets == ["a red car"]
    assert explain_of(run).steps == 10 and [s.name for s in scores_of(run)] == ["deletion"]


def test_the_identity_is_what_it_says_in_one_form(tmp_path):
    one = read(tmp_path, STUDY + "[explain]\nmethod = 'rise'\n").identity
    assert one == {
        "study": {
            "kind": "explain",
            "model": "zoo:scenes",
            "images": "zoo:scenes",
            "targets": ["a car"],
        },  # noqa: E501
        "explain": {"method": "rise"},
    }
    shuffled = "# of cars\n[explain]\nmethod = \"rise\"\n[study]\ntargets = 'a car'\nseed = 0\nimages = 'zoo:scenes'\n"  # noqa: E501
    shuffled += 'model = "zoo:scenes"\nkind = "explain"\ntitle = "A title"\ndevice = "cpu"\n[atlas]\npath = "x"\n'  # noqa: E501
    assert read(tmp_path, shuffled).identity == one
    assert read(tmp_path, STUDY).identity != one
    assert read(tmp_path, STUDY + "seed = 1\n").identity != one


def test_seeds_come_from_the_study_unless_a_method_has_its_own(tmp_path):
    run = read(tmp_path, STUDY + "seed = 3\n[[score]]\nmethod = 'deletion'\n")
    assert explain_of(run).seed == 3 and scores_of(run)[0].seed == 3
    run = read(tmp_path, STUDY + "[explain]\nmethod = 'm2ib'\nseed = 4\n")
    assert explain_of(run).seed == 4
    assert moved(read(tmp_path, UNITS + "seed = 5\n")).move.seed == 5


def test_settings_of_toml_fit_the_fields_of_methods(tmp_path):
    run = read(
        tmp_path, UNITS + "[explain]\nmethod = 'traversal'\nvalues = [-1, 0.5, 2.0]\nrows = 3\n"
    )  # noqa: E501
    assert moved(run).move.values == (-1, 0.5, 2.0) and moved(run).rows == 3
    run = read(tmp_path, STUDY + "[explain]\nmethod = 'm2ib'\nbeta = {image = 2.0, text = 0.5}\n")
    assert explain_of(run, "image").beta == 2.0 and explain_of(run, "text").beta == 0.5


@pytest.mark.parametrize("name", names("explain"))
def test_every_way_of_explaining_can_be_written_down(tmp_path, name):
    checked(read(tmp_path, STUDY + f"[explain]\nmethod = '{name.replace('_', '-')}'\n"))


def test_the_scores_that_need_nothing_can_be_written_down(tmp_path):
    usable = [name for name in names("score") if alone(name)]
    assert usable == ["drop", "increase", "deletion", "insertion", "road"]
    text = "".join(f"[[score]]\nmethod = '{name}'\n" for name in usable)
    assert len(scores_of(read(tmp_path, STUDY + text))) == len(usable)


def test_a_place_is_looked_for_beside_the_file(tmp_path):
    (tmp_path / "pics").mkdir()
    run = read(tmp_path, STUDY)
    assert run.beside("pics") == str(tmp_path / "pics")
    assert run.beside("zoo:scenes") == "zoo:scenes" and run.beside("elsewhere") == "elsewhere"


def test_settings_of_latents_are_those_of_their_study(tmp_path):
    run = read(tmp_path, LATENTS + "seed = 2\n[settings]\nrows = 6\nvalues = [-1.0, 0.0, 1.0]\n")
    made = gathering(run)[1]["settings"]
    assert (made.rows, made.values, made.seed) == (6, (-1.0, 0.0, 1.0), 2)


def test_tokens_are_given_their_pictures_and_labels(tmp_path, monkeypatch):
    asked = []

    def gather(
        atlas,
        model_ref,
        labels,
        *,
        settings: TokenSettings | None = None,
        device="cpu",
        report=None,
    ):  # noqa: E501
        asked.append((model_ref, labels, settings, device))
        return 7

    monkeypatch.setattr("legenda.tasks.run_gather.way_of", lambda run: gather)
    (tmp_path / "pics").mkdir()
    for i in range(10):
        Image.new("RGB", (8, 8)).save(tmp_path / "pics" / f"{i}.png")
    said = "".join(f"{i}.png,{('sky', 'sea')[i % 2]}\n" for i in range(10))
    (tmp_path / "l.csv").write_text(f"image,label\n{said}")
    run = read(
        tmp_path, TOKENS + "images = 'pics'\nlabels = 'l.csv'\nseed = 3\n[settings]\ntop = 5\n"
    )  # noqa: E501
    with Atlas(tmp_path / "a", write=True) as atlas:
        assert gathered(run, atlas) == 7
    ((model, labels, settings, device),) = asked
    assert (model, device, settings) == ("zoo:vq", "cpu", TokenSettings(top=5, seed=3))
    assert [one.label for one in labels.images][:2] == ["sky", "sea"]


def test_tokens_of_the_zoo_bring_their_own(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "legenda.tasks.atlas_zoo.zoo_tokens", lambda _, amount, *more: asked.append(amount) or 7
    )
    run = read(tmp_path, TOKENS + "[settings]\ntop = 5\n")
    with Atlas(tmp_path / "a", write=True) as atlas:
        assert gathered(run, atlas) == 7
    assert asked[0].tokens == TokenSettings(top=5)


# ------------------------------------------------------------------------ refusals of the file

CASES = {
    STUDY + "modle = 'x'\n": (
        ", line 6: [study] has no field 'modle'. Did you mean 'model'? "
        f"It has: {KNOWN}."
    ),
    STUDY + "[explian]\nmethod = 'rise'\n": (
        ", line 6: the file has no field 'explian'. Did you mean 'explain'? It has: study, "
        "explain, describe, score, settings, atlas."
    ),
    "[explain]\nmethod = 'rise'\n": (
        ": there is no [study], only [explain]. `legenda run --example` prints a study that has "
        "one."
    ),
    STUDY + f"seed = {1 << 63}\n": (
        f", line 6: seed is to be less than {1 << 63}; it got {1 << 63}."
    ),
    STUDY + "[atlas]\npath = ''\n": ", line 7: path is empty. Name something, or leave it out.",
    "": ": there is no [study]. `legenda run --example` prints a study that has one.",
    '[study]\nkind = "units"\n': ", line 1: [study] needs 'model', and it is not there.",
    STUDY + "[explain]\nsteps = 3\n": ", line 6: [explain] needs 'method', and it is not there.",
    STUDY + "[[score]]\nmethod = 'drop'\n[[score]]\nsteps = 3\n": (
        ", line 8: [score] needs 'method', and it is not there."
    ),
    STUDY.replace('"explain"', '"explian"'): (
        ", line 2: kind is explain, units, latents, tokens or concepts; it got 'explian'. "
        "Did you mean 'explain'?"
    ),
    STUDY.replace('"zoo:scenes"\nimages', "3\nimages"): (
        ", line 3: model needs words in quotes; it got 3."
    ),
    STUDY + "limit = 'few'\n": ", line 6: limit needs a whole number; it got 'few'.",
    STUDY + "limit = 0\n": ", line 6: limit is to be greater than or equal to 1; it got 0.",
    STUDY + "site = true\n": ", line 6: site needs a name or a number; it got True.",
    STUDY.replace('["a car"]', "[1, 'a car']"): (
        ', line 5: targets needs sentences, such as ["a red car"], or numbers, such as [0, 3], or '
        "\"all\", or \"captions\"; it got [1, 'a car']."
    ),
    STUDY.replace('["a car"]', "[1, 1]"): ", line 5: targets needs each target once; it got [1, 1].",  # noqa: E501
    STUDY.replace('["a car"]', "7"): (
        ', line 5: targets needs sentences, such as ["a red car"], or numbers, such as [0, 3], or '
        '"all", or "captions"; it got 7.'
    ),
    STUDY + "limit = 'few'\nmodle = 3\n": (
        ", line 6: limit needs a whole number; it got 'few'. 1 more of its fields cannot be used."
    ),
    STUDY + "[settings]\nrows = 3\n": (
        ", line 6: [settings] is for studies of the kinds latents, tokens and concepts; of the "
        "kind explain they stand in [explain]. Move them there."
    ),
    LATENTS + "[explain]\nmethod = 'rise'\n": (
        ", line 4: [explain] is for studies of the kinds explain and units; one of the kind "
        "latents brings its own. Leave it out, or change kind."
    ),
    LATENTS + "[[score]]\nmethod = 'drop'\n": (
        ", line 4: [score] is for studies of the kinds explain and units; one of the kind "
        "latents brings its own. Leave it out, or change kind."
    ),
    LATENTS + "targets = [0, 1]\n": (
        ", line 4: a study of the kind latents looks at all that a model has; it got targets. "
        'Leave it out, or take kind = "units".'
    ),
    LATENTS + "limit = 3\n": (
        ", line 4: limit is of images, and none are named. Name images, or leave limit out."
    ),
    STUDY + "seed = 1\n[explain]\nmethod = 'm2ib'\nseed = 2\n": (
        ", line 9: seed is 2 in [explain] and 1 in [study]. Leave one of them out."
    ),
    STUDY + "seed = 1\n[[score]]\nmethod = 'drop'\n[[score]]\nmethod = 'road'\nseed = 2\n": (
        ", line 11: seed is 2 in [score] and 1 in [study]. Leave one of them out."
    ),
    STUDY.replace('images = "zoo:scenes"\n', ""): (
        ", line 1: a study of the kind explain needs images. Name a folder, or zoo:scenes."
    ),
    STUDY.replace('["a car"]', '"all"'): (
        ", line 5: a study of the kind explain needs targets: sentences, numbers of classes, or "
        '"captions". Give some.'
    ),
    STUDY + "dictionary = 'd'\n": (
        ", line 6: a study of the kind explain is of a model's own neurons; it got a dictionary. "
        "Leave it out."
    ),
    UNITS + "labels = 'l.csv'\n": (
        ", line 4: labels are for studies of the kind tokens; this one is of the kind units. "
        "Leave them out."
    ),
    UNITS + "targets = ['a car']\n": (
        ', line 4: targets of the kind units are numbers of units, or "all"; it got words. Take '
        'kind = "explain" for sentences.'
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text):
    assert refused(tmp_path, text) == CASES[text]


METHODS = {
    STUDY + "[explain]\nmethod = 'm2bi'\n": (
        f", line 7: there is no method named 'm2bi'. Did you mean 'm2ib'? Known: {', '.join(names('explain'))}."  # noqa: E501
    ),
    STUDY + "[explain]\nmethod = 'm2ib'\nbetta = 3\n": (
        ", line 8: m2ib has no setting 'betta'. Did you mean 'beta'? It has: adaptive, "
        "antithetic, batch, beta, coast, draws, lr, per, quiet, seed, smooth, special, stale, "
        "start, steps, tolerance."
    ),
    STUDY + "[explain]\nmethod = 'm2ib'\nsteps = 'many'\n": (
        ", line 8: m2ib needs a whole number for steps; it got 'many'."
    ),
    STUDY + "[explain]\nmethod = 'm2ib'\nbeta = -1.0\n": (
        ", line 6: InformationBottleneck needs a finite price beta above 0; it got -1.0. Without a "
        "price nothing is left out. Try 1."
    ),
    STUDY + "[explain]\nmethod = 'traversal'\n": (
        ", line 7: traversal moves units; a study of the kind explain has none. Take kind = "
        '"units".'
    ),
    STUDY + "[[score]]\nmethod = 'drop'\n[[score]]\nmethod = 'iou'\n": (
        ", line 9: iou needs masks, which a file cannot give. Take drop, increase, deletion, "
        "insertion, road, or use it from Python."
    ),
    STUDY + "[[score]]\nmethod = 'delition'\n": (
        f", line 7: there is no score named 'delition'. Did you mean 'deletion' or 'insertion' or 'pointing'? Known: {', '.join(names('score'))}."  # noqa: E501
    ),
    STUDY + "[[score]]\nmethod = 'deletion'\nfill = 'paint'\n": (
        ", line 8: deletion needs 'mean' or 'blur' or 'road' for fill; it got 'paint'."
    ),
    UNITS + "[explain]\nmethod = 'rise'\n": (
        ", line 5: rise explains pictures, and none are named. Name images."
    ),
    UNITS + "[explain]\nmethod = 'traversal'\nrows = 1\n": (
        ", line 6: rows is a whole number of 2 or more, so that what they say can agree; it got 1."
    ),
    UNITS + "[explain]\nmethod = 'traversal'\nframs = 3\n": (
        ", line 6: traversal has no setting 'frams'. Did you mean 'frames'? It has: frames, mode, "
        "quantiles_of, real, rows, seed, span, values."
    ),
    UNITS + "[[score]]\nmethod = 'deletion'\n": (
        ", line 5: deletion judges maps; traversal makes sheets of pictures. Take [[describe]], or "
        "another method."
    ),
    UNITS + "[describe]\nmethod = 'lmm'\n": (
        ", line 5: a study file describes by 'measured'; it got 'lmm'. Language models and words "
        "are asked by `legenda latents`."
    ),
    UNITS + "[describe]\nmethod = 'measured'\nthreshhold = 0.5\n": (
        ", line 6: measured has no setting 'threshhold'. Did you mean 'threshold'? It has: "
        "threshold, pool, least_trend, least_moved, least_share, shadow."
    ),
    UNITS + "[describe]\nmethod = 'measured'\nthreshold = 'high'\n": (
        ", line 6: measured needs a finite number for threshold; it got 'high'."
    ),
    UNITS + "[describe]\nmethod = 'measured'\npool = -1\n": (
        ", line 6: pool of a study of latents must be 16 or more; got -1."
    ),
    UNITS + "[[describe]]\nmethod = 'measured'\n[[describe]]\nmethod = 'measured'\n": (
        ", line 6: a study of units is put into words once. Leave the second [[describe]] out."
    ),
    UNITS + "images = 'x'\n[explain]\nmethod = 'rise'\n[describe]\nmethod = 'measured'\n": (
        ", line 8: measured describes sheets of pictures; rise makes maps. Take traversal or "
        "steering or token_doses, or leave [[describe]] out."
    ),
    LATENTS + "[settings]\nrow = 3\n": (
        ", line 5: latents has no setting 'row'. Did you mean 'rows' or 'shown'? It has: frames, "
        "rows, per_look, fresh, shown, pool, span, values, least_nats, alpha, threshold, nulls, "
        "seed, conformal, adaptive, move."
    ),
    LATENTS + "[settings]\nrows = 'many'\n": (
        ", line 5: latents needs a whole number for rows; it got 'many'."
    ),
    LATENTS + "[settings]\nrows = 1\n": (
        ", line 4: rows of a study of latents must be 2 or more; got 1."
    ),
    LATENTS + "site = 'x'\n": (
        ", line 4: a study of the kind latents opens its model where its units are. Leave site out."
    ),
    TOKENS + "images = 'pics'\n": (
        ", line 1: a study of the kind tokens needs images and labels, which say what each shows; "
        'labels are not there. Give both, or take model = "zoo:vq", which brings its own.'
    ),
    TOKENS.replace("zoo:vq", "mine"): (
        ", line 1: a study of the kind tokens needs images and labels, which say what each shows; "
        'images and labels are not there. Give both, or take model = "zoo:vq", which brings its '
        "own."
    ),
    TOKENS + "images = 'pics'\nlabels = 'l.csv'\nlimit = 3\n": (
        ", line 6: a study of the kind tokens looks at all pictures that have labels. Leave limit "
        "out, or give fewer labels."
    ),
    LATENTS + "seed = 1\n[settings]\nseed = 2\n": (
        ", line 6: seed is given in [settings] and in [study]. Leave one of them out."
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", METHODS)
def test_methods_and_settings_are_refused_before_anything_is_opened(tmp_path, monkeypatch, text):
    monkeypatch.setattr("legenda.tasks.run_models.open_model", lambda *_, **__: pytest.fail())
    assert refused(tmp_path, text, checked) == METHODS[text]


def test_what_is_no_file_of_a_study(tmp_path):
    path = tmp_path / "s.toml"
    with pytest.raises(Missing) as problem:
        read_run(path)
    assert str(problem.value) == f"study {path} is not there. Check the path."
    path.write_text("[study\nkind = 3\n")
    with pytest.raises(BadInput) as problem:
        read_run(path)
    assert str(problem.value) == (
        f"{path} is not TOML: Expected ']' at the end of a table declaration (at line 1, column "
        "7). `legenda run --example` prints one that is."
    )
    path.write_bytes(b'[study]\nkind = "\xff"\n')
    with pytest.raises(BadInput) as problem:
        read_run(path)
    assert str(problem.value) == f"{path} is no text in UTF-8 (byte 16). Save it again as text."
    for other in (tmp_path, path):
        path.write_bytes(b"#" * ((1 << 20) + 1))
        with pytest.raises(BadInput) as problem:
            read_run(other)
        assert str(problem.value) == (
            f"{other} is no file of a study: it is a folder, or larger than a megabyte. Name a "
            "study.toml."
        )


def test_lines_are_those_of_fields_and_not_of_words_in_texts():
    text = 'a = 1\n[study]\ntitle = """\nkind = 3\n[x]\n"""\nkind = 1\n[[score]]\nm = 1\n[[score]]\nm.n = 2\n'  # noqa: E501
    lines = Lines.of(text)
    assert lines.line(("a",)) == 1 and lines.line(("study",)) == 2
    assert lines.line(("study", "kind")) == 7 and lines.line(("x",)) is None
    assert lines.line(("score", "0", "m")) == 9 and lines.line(("score", "1", "m", "n")) == 11
    assert lines.line(("score", "1")) == 10 and lines.line(("score", "m")) == 8
    assert lines.line(("study", "absent")) == 2 and lines.line(("absent",)) is None


# ------------------------------------------------------------------------ pictures and models


def test_worlds_are_drawn_and_corpora_are_read_evenly(tmp_path):
    drawn = pictures_of("zoo:scenes", 3, seed=1)
    assert len(drawn) == 3 and drawn.label(0) and drawn.open(0).size == (96, 96)
    assert drawn.key(0) != pictures_of("zoo:scenes", 3).key(0)
    grey, again = pictures_of("zoo:sprites", 2, seed=4), pictures_of("zoo:sprites", 5, seed=4)
    assert grey.open(1).tobytes() == again.open(1).tobytes() != grey.open(0).tobytes()
    for i in range(10):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")
    assert [pictures_of(str(tmp_path), 5).key(i) for i in range(5)] == [
        f"{i}.png" for i in (0, 2, 4, 6, 8)
    ]  # noqa: E501
    assert len(pictures_of(str(tmp_path))) == 10
    with pytest.raises(Missing) as problem:
        pictures_of("zoo:scene")
    assert str(problem.value) == (
        "there is no world 'zoo:scene'. Did you mean 'zoo:scenes' or 'zoo:sprites' or "
        "'zoo:sprites/grey'? Known: "
        "zoo:scenes, zoo:sprites, zoo:sprites/grey, zoo:sprites/colour; or name a folder, a table "
        "or an array of pictures."
    )


def test_what_a_model_lacks_is_said(tmp_path):
    unit = UNITS.replace("zoo:vae", "tests.cli.latent_model:grey")
    assert refused(tmp_path, unit + "targets = [0, 6]\n", planned) == (
        ", line 4: unit 6 is not in grey/latents, which has 6 units, numbered from 0."
    )
    few = unit + "images = 'zoo:sprites'\nlimit = 2\n"
    assert refused(tmp_path, few, planned) == (
        ", line 4: 8 rows begin at as many pictures; there are 2. Give more, or ask for fewer rows."
    )
    assert refused(tmp_path, unit + "dictionary = 'absent'\n", planned) == (
        ", line 4: dictionary names a file of directions or a folder of concepts; there is no "
        "absent."
    )
    with pytest.raises(Unsupported) as problem:
        planned(
            read(tmp_path, STUDY.replace('"zoo:scenes"\nim', '"tests.cli.latent_model:grey"\nim'))
        )  # noqa: E501
    assert str(problem.value) == (
        "A study of sentences needs a dual encoder; tests.cli.latent_model:grey has none. Give "
        "numbers of classes as targets."
    )


def test_the_same_rows_in_any_chunk(tmp_path):
    plan = planned(read(tmp_path, UNITS.replace("zoo:vae", "tests.cli.latent_model:grey")))
    units, how = plan.units, plan.explain
    assert repr(how).startswith("Traversal(") and set(MOVES) == {
        "traversal",
        "steering",
        "token_doses",
    }  # noqa: E501
    together = list(how.each(units, None, [units[i] for i in (0, 2)]))
    assert torch.equal(together[1].images, how(units, None, units[2]).images)
    assert together[1].index == 2 and together[1].images.shape[:2] == (8, 8)


# ------------------------------------------------------------------------ words


class Says:
    """A describer that says what it is told, once per answer."""

    name = "oracle"

    def __init__(self, *answers):
        self.answers = answers

    def __call__(self, sheet, values):
        return self.answers


def sheet(moving=True):
    images = torch.zeros(3, 4, 3, 8, 8)
    if moving:
        images += torch.linspace(0, 1, 4)[None, :, None, None, None]
    return Sheet(images, torch.linspace(-1, 1, 4), "m/latents/1", 1)


GROWS = Answer("It grows.", "size", "small", "large", 1)
MOVES_UP = Answer("It rises.", "y", "bottom", "top", -1)
SILENT = Answer(abstained="nothing moves visibly")


def test_the_answer_that_speaks_for_all_is_first_and_names_the_unit():
    found = Answers(Says(GROWS, GROWS, MOVES_UP, GROWS))(sheet())
    assert [d.text for d in found] == ["It grows.", "It rises."]
    assert found[0].certainty == pytest.approx(0.5) and found[0].low <= 0.5 <= found[0].high
    assert found[0].name == "size, small to large" and found[0].by == "oracle"


@pytest.mark.parametrize(
    ("answers", "moving", "state", "why"),
    [
        ((GROWS, GROWS), False, "inactive", "colours change by 0.0000 of white along a row"),
        ((SILENT, SILENT, SILENT), True, "", "nothing moves visibly"),
        ((GROWS, MOVES_UP, SILENT), True, "", "its answers disagree: certainty 0.00 is below 0.30"),
    ],
)
def test_silence_has_a_reason(answers, moving, state, why):
    (one,) = Answers(Says(*answers))(sheet(moving))
    assert (one.text, one.abstained, one.state) == ("", why, state)


def test_only_sheets_are_put_into_words():
    with pytest.raises(Unsupported) as problem:
        Answers(Says(GROWS))(Frames(torch.zeros(2, 3, 8, 8), torch.zeros(2)))
    assert str(problem.value) == (
        "oracle needs a sheet of pictures; Frames has none. Take [explain] method = \"traversal\", "
        "or leave [[describe]] out."
    )  # fmt: skip


def test_measured_answers_stand_on_pictures_of_the_model(tmp_path):
    text = UNITS.replace("zoo:vae", "tests.cli.latent_model:grey")
    text += "[describe]\nmethod = 'measured'\npool = 32\nthreshold = 0.4\nleast_trend = 0.7\n"
    (words,) = planned(read(tmp_path, text)).describe
    assert isinstance(words.asks, ByMeasure) and words.threshold == 0.4
    assert words.asks.measured.least_trend == 0.7


def test_units_are_as_sure_as_in_a_study_of_latents(tmp_path):
    text = UNITS.replace("zoo:vae", "tests.cli.latent_model:grey")
    text += (
        "[explain]\nmethod = 'traversal'\nrows = 6\n[describe]\nmethod = 'measured'\npool = 64\n"
    )
    plan = planned(read(tmp_path, text))
    (job,) = plan.jobs()
    said = [plan.describe[0](one)[0] for one in plan.explain.each(plan.units, job.x, job.targets)]
    found = study_latents(plan.units, LatentSettings(rows=6, fresh=2, pool=64, threshold=0.3)).units
    active = [i for i, one in enumerate(found) if one.verdict != "inactive"]
    assert len(active) == 5
    assert [said[i].certainty for i in active] == [found[i].certainty for i in active]
    assert [said[i].text for i in active] == [
        found[i].answer.text if found[i].verdict == "named" else "" for i in active
    ]
