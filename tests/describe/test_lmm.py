import json
import os
import time
import urllib.request
from dataclasses import replace
from math import perm

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES
from legenda.core.sheet import Sheet
from legenda.describe.budget import Budget, Estimate, Stop
from legenda.describe.chat import Chat, Question
from legenda.describe.lmm import LMM, NOT_ASKED
from legenda.describe.lmm_answer import LESS_MORE, direction, meant, read
from legenda.describe.looks import looks
from legenda.describe.prompt_files import Prompt, prompt_of
from legenda.describe.strip import Strip
from legenda.errors import BadInput, Missing
from legenda.zoo.sprites.world import COLOUR, GREY
from tests.describe.seeing_server import cut, said_of
from tests.describe.server_process import running

FORM = {"attribute": "size", "from": "small", "to": "large", "confidence": 0.9, "none": False}


@pytest.fixture(scope="module")
def url():
    with running("tests.describe.chat_server") as address:
        yield address


@pytest.fixture(scope="module")
def eyes():
    with running("tests.describe.seeing_server", seconds=120) as address:
        yield address


def moving(factor, world=GREY, rows=4, steps=8, side=64, seed=0):
    """Sprites of which one factor rises along each row."""
    levels = world.sample(rows, seed).repeat(steps, 0).reshape(rows, steps, -1)
    place = world.factors.index(factor)
    levels[:, :, place] = np.linspace(0, world.counts[place] - 1, steps).round()
    drawn = world.draw(levels.reshape(rows * steps, -1), side).float() / 255
    frames = drawn.expand(-1, 3, -1, -1).unflatten(0, (rows, steps)).contiguous()
    return Sheet(frames, torch.linspace(-2, 2, steps), f"sprites/{factor}")


def said(**changes):
    return json.dumps(FORM | changes)


# ------------------------------------------------------------------ transport, with pixels measured


@pytest.mark.parametrize(
    ("factor", "each"), [("x", "sheet"), ("y", "row"), ("background", "sheet")]
)
def test_answers_through_the_protocol_equal_those_of_the_same_measuring_in_process(eyes, factor, each):  # fmt: skip # noqa: E501
    sheet = moving(factor, COLOUR if factor == "background" else GREY)
    lmm = LMM(Chat(eyes, "eyes"), samples=3, each=each)
    through = lmm(sheet)
    for answer, rows in zip(through, lmm.looks(sheet, 3), strict=True):
        frames = (sheet.images[rows] * 255).round().byte().numpy().transpose(0, 1, 3, 4, 2)
        assert answer == read(said_of(frames.repeat(2, 2).repeat(2, 3)))
    assert all(a.attribute for a in through)
    if factor != "background":  # which starts alike in every row
        assert len({a.start for a in through}) == 3, "each look sees other rows"


def test_the_order_and_the_content_of_frames_reach_the_server(eyes):
    sheet, lmm = moving("x"), LMM(Chat(eyes, "eyes"), samples=1, rows=4)
    (forth,) = lmm(sheet)
    (back,) = lmm(replace(sheet, images=sheet.images.flip(1)))
    assert (forth.attribute, forth.direction, back.direction) == ("x", 1, -1)
    assert (forth.start, forth.end) == (back.end, back.start)
    (still,) = lmm(sheet.constant())
    assert still.none and still.abstained == "it saw no clear pattern"


def test_frames_of_five_columns_and_other_sizes_reach_the_server(eyes):
    sheet = moving("x", side=32)
    lmm = LMM(Chat(eyes, "eyes"), samples=1, rows=1, render=Strip(5))
    (row,) = lmm.looks(sheet, 1)[0]
    frames = sheet.images[[row]][:, [0, 2, 4, 5, 7]]
    frames = (frames * 255).round().byte().numpy().transpose(0, 1, 3, 4, 2)
    assert lmm(sheet) == (read(said_of(frames.repeat(4, 2).repeat(4, 3))),)


# ---------------------------------------------------------------------------------- what is asked


def test_a_strip_holds_every_frame_where_it_says(tmp_path):
    sheet = moving("x", COLOUR, rows=2)
    page = np.asarray(Strip()(sheet))
    assert page.shape == (24 + 2 * 136, 24 + 8 * 136, 3)
    for r in range(2):
        for k in range(8):
            frame = page[24 + r * 136 :, 24 + k * 136 :][:128, :128][::2, ::2]
            wanted = (sheet.images[r, k] * 255).round().byte().permute(1, 2, 0).numpy()
            assert np.array_equal(frame, wanted)
    assert (page[:24, 24:].min(2) < 99).any() and (page[24:, :24].min(2) < 99).any()
    rest = page.copy()
    for r in range(2):
        rest[24 + r * 136 :][:128, 24:] = 255
    assert rest[24:, 24:].min() == 255, "nothing but frames below and right of the labels"
    assert np.array_equal(cut([page]), Strip().frames(sheet))


def test_a_strip_gives_controls_away_by_nothing():
    sheet = moving("size", rows=2)
    control = replace(sheet, kind="shuffled", unit="another", index=9)
    assert Strip()(sheet).tobytes() == Strip()(control).tobytes()
    with pytest.raises(BadInput, match="two columns or more, of a pixel or more; it got 1 and 128"):
        Strip(1)


def test_looks_differ_while_they_can_and_are_the_seeds():
    for there, rows in ((4, 2), (3, 3), (5, 1), (2, 9)):
        every = perm(there, min(rows, there))
        found = looks(there, rows, every + 2)
        assert len({*map(tuple, found[:every])}) == every
        assert all(len(set(one)) == min(rows, there) and max(one) < there for one in found)
        assert found[: every - 1] == looks(there, rows, every - 1), "more looks leave the first as they are"  # fmt: skip # noqa: E501
    assert looks(9, 3, 5) != looks(9, 3, 5, seed=1)
    with pytest.raises(
        BadInput, match="a look needs a row, and an answer a look; it got 0 rows, 3"
    ):
        looks(0, 3, 5)


def test_each_question_is_another_and_knows_its_prompt(url):
    sheet, lmm = moving("x"), LMM(Chat(url, "sure"), samples=4)
    asked = lmm.questions(sheet)
    named = {json.dumps(lmm.chat.identity(question)) for question in asked}
    assert len(named) == 4 and [q.sample for q in asked] == [0, 1, 2, 3]
    assert asked[0].about == prompt_of("plain").mark and asked[0].about.startswith("plain v1 ")
    assert "each shows 8 pictures" in asked[0].prompt and "in all 3 rows" in asked[0].prompt
    assert "horizontal position, vertical position, size" in asked[0].prompt
    assert len(replace(lmm, each="row").questions(sheet)[0].pictures) == 3
    few = replace(lmm, words=("size", "colour"), rows=9)
    assert "in all 4 rows (size, colour, or another)" in few.questions(sheet)[0].prompt
    assert [lmm.one(sheet, i) for i in range(4)] == [*lmm(sheet)]


# ------------------------------------------------------------------------------------- prompts


@pytest.mark.parametrize("name", ["plain", "invariance", "combination", "conditional"])
def test_prompts_that_ship_are_short_and_ask_for_the_form(name):
    prompt = prompt_of(name)
    assert prompt == prompt_of(f"{name}.v1") and (prompt.name, prompt.version) == (name, "v1")
    assert len(prompt.text.split()) <= 60 and set(FORM) <= set(json.loads(prompt.text.splitlines()[-1]))  # fmt: skip # noqa: E501
    filled = prompt.filled({"columns": 8, "rows": 3, "words": "size", "property": "smiling"})
    assert ('"smiling"' in filled) == (name == "conditional")
    assert "8 pictures" in filled and json.loads(filled.splitlines()[-1])["none"] is False


def test_a_prompt_of_ones_own(tmp_path, url):
    path = tmp_path / "mine.v7.txt"
    path.write_text('What changes over {columns} pictures? {"attribute": ""}')
    prompt = prompt_of(path)
    assert (prompt.name, prompt.version) == ("mine", "v7")
    (asked,) = LMM(Chat(url, "sure"), path, samples=1).questions(moving("x"))
    assert asked.prompt == 'What changes over 8 pictures? {"attribute": ""}'
    before = prompt.mark
    path.write_text("What changes?")
    assert prompt_of(path).mark != before, "another text is another question"
    assert prompt_of(str(path)).mark.startswith("mine v7 ")


def test_prompts_that_cannot_be_used(tmp_path):
    with pytest.raises(BadInput) as problem:
        Prompt("mine", "", "Look at {colums} in {rows} of {them}.")
    assert str(problem.value) == (
        "the prompt mine asks for {colums}, {them}, which nobody fills in. Known are {columns}, "
        "{property}, {rows}, {words}."
    )
    with pytest.raises(BadInput, match=r"the prompt mine is empty\. Write what is to be asked\."):
        Prompt("mine", "", " \n")
    with pytest.raises(Missing) as problem:
        prompt_of("plan")
    assert str(problem.value) == (
        "there is no prompt 'plan', and no such file. Did you mean 'plain'? Prompts that ship: "
        "combination, conditional, invariance, plain."
    )
    with pytest.raises(BadInput) as problem:
        LMM(Chat("http://localhost/v1", "m"), "conditional")
    assert str(problem.value) == (
        "the prompt conditional speaks of {property}, and none was given. Give it, or choose "
        "another prompt."
    )
    LMM(Chat("http://localhost/v1", "m"), "conditional", tied_to="smiling")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"bad.txt is not text in UTF-8. Save it anew."):
        prompt_of(tmp_path / "bad.txt")


# ------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    "text",
    [
        said(),
        f"```json\n{said()}\n```",
        f"Sure! Here it is:\n{said()}\nI hope this helps {{really}}.",
        f"<think>Perhaps {said(attribute='hue')}?</think>{said()}",
        said(attribute="Scale", **{"from": " small "}),
        said(attribute="size of the object"),
        said(attribute="The object's size"),
    ],
)
def test_answers_that_can_be_read(text):
    assert read(text) == Answer(
        "The size changes from small to large.", "size", "small", "large", 1, confidence=0.9
    )


UNREADABLE = {
    "I'm sorry, I can't see it.": "it holds no JSON object (“I'm sorry, I can't see it.”)",
    said()[:-9]: "it holds no JSON object (",
    "[]": "it holds no JSON object (“[]”)",
    said() + said(): "it holds 2 JSON objects (",
    said(sure=True): "nobody asked for 'sure' (",
    said(confidence=90): "'confidence': input should be less than or equal to 1 (",
    said(
        confidence="high"
    ): "'confidence': input should be a valid number, unable to parse string as a number (",  # noqa: E501
    said(none="perhaps"): "'none': input should be a valid boolean, unable to interpret input (",
    said(attribute=["size"]): "'attribute': input should be a valid string (",
    '{"start": "small", "attribute": "size"}': "nobody asked for 'start' (",
    '{"confidence": NaN}': "'confidence': input should be ",
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_cannot_be_read_is_an_abstention_with_the_reason(text):
    found = read(text)
    assert found.none and not found.text and found.direction == 0
    assert found.abstained.startswith(f"its answer could not be read: {UNREADABLE[text]}")
    assert len(found.abstained) < 250


@pytest.mark.parametrize("text", [said(none=True), said(attribute=None), "{}"])
def test_none_is_an_abstention(text):
    found = read(text)
    assert found.none and found.abstained == "it saw no clear pattern"


DIRECTIONS = [
    ("x", "left", "right", 1),
    ("x", "right side", "far left", -1),
    ("y", "high up", "low down", 1),
    ("y", "bottom", "top", -1),
    ("y", "0.9", "0.1", 0),
    ("size", "bigger", "smaller", -1),
    ("size", "small", "small", 0),
    ("size", "", "huge", 1),
    ("size", "1.5", "3", 1),
    ("size", "80%", "20%", -1),
    ("brightness", "bright", "dark", -1),
    ("count", "one", "two", 1),
    ("roundness", "square", "ellipse", 1),
    ("aspect", "wide", "tall", -1),
    ("hue", "red", "yellow", 1),
    ("hue", "blue", "cyan", -1),
    ("hue", "red", "pink or blue", 0),
    ("hue", "red", "blue", 0),
    ("hue", "pink", "orange", 1),
    ("warmth", "bluish", "reddish", 1),
    ("stroke", "bold", "thin", -1),
    ("orientation", "clockwise", "counter-clockwise", 1),
    ("hair length", "short", "long", 0),
    ("light_x", "lit from the left", "lit from the right", 1),
    ("size", "small to large", "same", 0),
]


@pytest.mark.parametrize(("attribute", "start", "end", "way"), DIRECTIONS)
def test_directions_are_read_off_the_ends_and_turn_with_them(attribute, start, end, way):
    assert direction(attribute, start, end) == way
    assert direction(attribute, end, start) == -way


def test_every_attribute_knows_its_own_ends():
    for name, one in ATTRIBUTES.items():
        if name != "hue":
            assert direction(name, one.less, one.more) == 1, name
    assert set(LESS_MORE) == set(ATTRIBUTES) - {"hue"}


def test_words_find_their_attribute():
    assert meant("Horizontal position of the shape") == "x"
    assert meant("brightness of the background") == "background"
    assert meant("object brightness") == "object_brightness"
    assert meant("position", "top left", "bottom left") == "y"
    assert meant("location", "top left", "bottom right") == "location", "both at once is neither"
    assert meant("Smile of the face") == "smile of the face"


# ------------------------------------------------------------------- failures, costs, and replays

FAILURES = {
    "gone": "refused the question", "ill": "(status 503)", "slow": "(it is too slow)",
    "html": "answered with a web page", "half": "sent no whole JSON", "empty": "answered nothing",
}  # fmt: skip


@pytest.mark.parametrize("model", FAILURES)
def test_a_server_that_fails_makes_one_unit_abstain_and_is_asked_again_in_a_rerun(url, model, tmp_path):  # fmt: skip # noqa: E501
    chat = Chat(url, model, tries=1, timeout=0.3, answers=tmp_path)
    lmm = LMM(chat, samples=2, at_once=2)
    found = lmm(moving("x"))
    assert all(a.none and a.abstained.startswith(NOT_ASKED) for a in found)
    assert FAILURES[model] in found[0].abstained and not list(tmp_path.iterdir())
    fine = LMM(replace(chat, model="sure"), samples=2)(moving("x"))
    assert [a.attribute for a in fine] == ["size", "size"] and len(list(tmp_path.iterdir())) == 2


def test_a_server_that_is_down_for_one_unit(url, tmp_path):
    sheets = [moving("x"), moving("y"), moving("size")]
    up = LMM(Chat(url, "sure", answers=tmp_path), samples=2)
    up(sheets[0]), up(sheets[2])
    down = replace(up, chat=replace(up.chat, url="http://127.0.0.1:9/v1", tries=1))
    found = down.many(sheets)
    assert [[bool(a.attribute) for a in one] for one in found] == [[True] * 2, [False] * 2, [True] * 2]  # fmt: skip # noqa: E501
    again = up.chat.budget.calls
    assert all(a.attribute == "size" for one in up.many(sheets) for a in one)
    assert up.chat.budget.calls == again + 2, "a rerun asks for that unit alone"


def test_refusals_and_nonsense_are_kept_and_abstain(url, tmp_path):
    for model in ("sorry", "declines", "echo"):
        (found,) = LMM(Chat(url, model, answers=tmp_path), samples=1)(moving("x"))
        assert found.none and found.abstained.startswith("its answer could not be read: it holds ")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_wrong_key_or_a_spent_budget_stops_the_study(url, tmp_path):
    with pytest.raises(Stop, match="did not accept the key"):
        LMM(Chat(url, "locked", "secret"))(moving("x"))
    chat = Chat(url, "sure", answers=tmp_path, budget=Budget(most_calls=3))
    with pytest.raises(Stop, match="the cap of 3 calls is reached"):
        LMM(chat).many([moving("x")])
    assert len(list(tmp_path.iterdir())) == 3


def test_a_replay_calls_nobody_and_a_dry_run_neither(url, tmp_path, monkeypatch):
    sheets = [moving("x"), moving("y")]
    lmm = LMM(Chat(url, "sure", longest=100, answers=tmp_path), samples=3)
    page, text = Strip()(sheets[0].rows([0, 1, 2])), lmm.questions(sheets[0])[0].prompt
    each = -(-len(text) // 4) + -(-page.width * page.height // 784) + 100
    assert lmm.estimate(sheets) == Estimate(6, 0, 6 * each)
    first = lmm.many(sheets)
    assert lmm.estimate([*sheets, moving("size")]) == Estimate(3, 6, 3 * each)
    monkeypatch.setenv("LEGENDA_OFFLINE", "1")
    far = replace(lmm.chat, url="http://chat.example.invalid/v1", budget=Budget())
    assert replace(lmm, chat=far).many(sheets) == first
    assert (far.budget.calls, far.budget.replayed) == (0, 6)
    asked = json.loads(urllib.request.urlopen(url.replace("/v1", "/asked")).read())["sure"]
    assert LMM(far, samples=3, at_once=1).many(sheets) == first
    assert json.loads(urllib.request.urlopen(url.replace("/v1", "/asked")).read())["sure"] == asked
    (unknown,) = LMM(far, samples=1).many([moving("size")])[0]
    assert unknown.abstained.startswith(f"{NOT_ASKED}http://chat.example.invalid/v1 was never ask")


def test_the_temperature_reaches_the_server(url):
    LMM(Chat(url, "sure"), samples=1, temperature=0.31)(moving("y", seed=3))
    bodies = json.loads(urllib.request.urlopen(url.replace("/v1", "/bodies")).read())
    assert bodies[-1]["temperature"] == 0.31
    (part,) = [p for p in bodies[-1]["messages"][0]["content"] if p["type"] == "image_url"]
    assert part["image_url"]["url"].startswith("data:image/png;base64,")


def test_settings_that_make_no_sense(url):
    with pytest.raises(BadInput) as problem:
        LMM(Chat(url, "sure"), samples=0)
    assert str(problem.value) == (
        "LMM needs an answer, a row and a question at a time or more, and a picture for each "
        "'sheet' or 'row'; it got samples=0, rows=3, at_once=4 and 'sheet'."
    )


# --------------------------------------------------------------------- a real language model


@pytest.mark.weights
def test_the_text_path_with_a_real_model(tmp_path):
    folder = os.environ.get("LEGENDA_TEXT_MODEL")
    if not folder:
        pytest.skip("LEGENDA_TEXT_MODEL names no folder with a .gguf model")
    for needed in ("gguf", "accelerate"):
        pytest.importorskip(needed)
    with running("tests.describe.text_server", folder, seconds=600) as url:
        chat = Chat(url, "smollm2", temperature=0.7, longest=32, timeout=300.0, answers=tmp_path)
        shared = "What do these have in common: a red fire truck, a stop sign, a ripe tomato? Answer in one short sentence."  # fmt: skip # noqa: E501
        asked = [Question(shared, sample=i) for i in range(2)] + [Question("Name one colour.")]
        begun = time.monotonic()
        said = chat.every(asked, at_once=2)
        assert len(set(said)) == 3 and all(one.strip() for one in said)
        assert replace(chat, answers=None).ask(asked[1]) == said[1], "a seed is an answer"
        print(f"\n{time.monotonic() - begun:.0f} s", *said, sep="\n- ")  # noqa: T201
        spent = chat.budget.calls
        assert spent == 4 and chat.budget.answered_tokens > 8 and chat.budget.unreported == 0
        sheet = Sheet(torch.zeros(1, 8, 3, 8, 8), torch.linspace(-1, 1, 8))
        question = replace(LMM(chat, samples=1).questions(sheet)[0], pictures=())
        print("- to the plain prompt:", read(chat.ask(question)))  # noqa: T201
    spent = chat.budget.calls
    assert chat.every(asked) == said and chat.budget.calls == spent, "the server is gone: a replay"


def test_a_picture_is_known_by_its_pixels():
    chat, red = Chat("http://localhost/v1", "m"), Image.new("RGB", (9, 9), "red")
    asked = chat.identity(Question("a", [red]))
    (part,) = [p for p in asked["messages"][0]["content"] if p["type"] == "pixels"]
    assert len(part["pixels"]) == 32 and "base64" not in json.dumps(asked)
