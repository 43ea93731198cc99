import json
import shlex
from dataclasses import replace

import pytest

from legenda.core.explanation import Score
from legenda.show.palette import short, ticks
from legenda.show.view import frame, plain
from legenda.show.words import judge, matched, verdict, warning
from tests.show.made import made


def test_json_holds_every_number_and_no_nan():
    said = json.loads(json.dumps(plain(made()), allow_nan=False))
    assert said["unit"] == "nats"
    assert said["map"][3] == [3.0, 3.25, 3.5, 3.75]
    assert said["words"][2] == {"text": "house", "score": 1.0}
    assert said["figures"]["text clean"] is None
    assert said["scores"][0]["interval"] == [None, None]
    assert said["scores"][0]["control_interval"] == [0.18, 0.22]
    assert said["match"] == {
        "flagged": False, "standing": 4.0, "threshold": 1.2, "references": 128,
        "source": "128 drawn scenes",
    }  # fmt: skip


def test_the_command_makes_it_again():
    words = shlex.split(plain(made())["command"])
    assert words == [
        "legenda", "explain", "zoo:scenes", "pictures/a house.png", "a red house on sand",
        "--method", "m2ib", "--site", "image=1,text=2",
        "--beta", "1.0", "--steps", "10", "--set", "draws=6", "--seed", "0",
    ]  # fmt: skip


def test_a_preset_is_called_by_its_name_and_moments_are_left_out():
    settings = made().settings | {
        "explainer": "nib",
        "method": "PathIntegral(steps=7, moments=Moments(9 positions of 2, maybe (3), ab), seed=0)",
    }
    said = plain(made(settings=settings))["command"]
    assert " --method nib " in said and "--steps 7" in said and "moments" not in said


def test_a_picture_from_memory_has_a_stand_in():
    assert " PICTURE " in plain(made(source="picture"))["command"]


@pytest.mark.parametrize("said", ["", "Thing", "Thing(", "f(x)(y)"])
def test_a_method_that_is_no_repr_does_no_harm(said):
    settings = {"model": "m", "method": said}
    assert plain(made(settings=settings))["command"].startswith("legenda explain m")


def test_the_frame_is_where_the_map_is_seen():
    agreement = made()
    left, top, right, bottom = map(int, frame(agreement))
    seen = agreement.map.isfinite()
    assert seen[top:bottom, left:right].all() and int(seen.sum()) == (bottom - top) * (right - left)


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0"), (-0.5, "−0.5"), (1234.6, "1,235"), (1e-7, "1.0e−07")],
)
def test_numbers_as_people_write_them(value, said):
    assert short(value) == said


def test_ticks_are_round_and_inside():
    assert ticks(0, 9.7) == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert ticks(-0.013, 0.013) == [-0.01, 0.0, 0.01]
    assert ticks(1, 1) == [1]


def test_scores_are_judged_by_their_control():
    said = plain(made())["scores"]
    assert judge(said[0]) == "0.1; random maps 0.2 [0.18, 0.22]: better than random maps on average"
    assert judge(said[1]) == "0.4 [0.3, 0.5] over 9"
    worse = Score("insertion", 0.1, (0.05, 0.12), 9, True, 0.2, (0.18, 0.22))
    assert verdict(plain(made(scores=(worse,)))["scores"][0]).startswith("worse")
    even = replace(worse, value=0.19, interval=(0.1, 0.3))
    assert verdict(plain(made(scores=(even,)))["scores"][0]).startswith("no better")


def test_the_flag_says_its_threshold_and_its_reference():
    said = plain(made(flagged=True))
    assert warning(said) == (
        "Its cosine of 0.41 stands out by −1 standard deviations among 128 unrelated pairs "
        "(128 drawn scenes); a match begins at 1.2. What follows explains an agreement that is "
        "hardly there."
    )
    assert matched(said) == ""
    assert warning(plain(made())) == ""
    assert matched(plain(made(match=None))) == ""
