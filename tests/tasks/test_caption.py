import sys
import time

import pytest
import torch

from legenda.describe.chat import Chat
from legenda.tasks.caption import caption, held, named, worded
from legenda.tasks.image_concepts import ImageConcept


def seen(unit, word, *cells, strongest=1.0):
    drawn = torch.zeros(6, 6)
    for row, column in cells:
        drawn[row, column] = strongest
    share = len(cells) / 36
    return ImageConcept(unit, word, drawn, strongest, strongest * len(cells), share, 1.0)


KINDS = {"red": "adjective", "old": "adjective"}
CAR = seen(1, "car", (3, 0), (3, 1))
RED = seen(2, "red", (3, 1))
TREE = seen(3, "tree", (2, 5), (3, 5))


def test_an_adjective_goes_with_the_noun_that_it_lies_on():
    made = caption([CAR, RED, TREE], KINDS)
    assert made.text == "A red car on the left and a tree on the right."
    assert made.units == (1, 2, 3) and made.by == "template" and made.held == 1


def test_an_adjective_elsewhere_stands_alone():
    alone = seen(4, "old", (0, 3))
    assert caption([CAR, alone], KINDS).text == "A car on the left and something old at the top."


def test_a_name_is_said_once_and_the_nameless_say_nothing():
    assert named([seen(0, None, (0, 0)), CAR, seen(9, "Car", (5, 5))], 5) == [CAR]
    assert caption([seen(0, None, (0, 0))]).text == "Nothing that has a name."
    assert caption([CAR, TREE], most=1).text == "A car on the left."


def test_taking_a_concept_out_takes_it_out_of_the_sentence():
    assert "tree" in caption([CAR, TREE]).text and "tree" not in caption([CAR]).text


def test_what_a_model_adds_is_told():
    assert held("A red car on the left", ["red", "car"]) == 1
    assert held("Two red cars under clouds", ["red", "car"]) == pytest.approx(2 / 3)
    assert held("", ["red"]) == 1


def test_a_language_model_is_told_the_list_with_places(tmp_path):
    import subprocess

    port = tmp_path / "port"
    server = subprocess.Popen([sys.executable, "-m", "tests.describe.chat_server", str(port)])
    try:
        while not (port.exists() and port.read_text()):
            time.sleep(0.05)
        chat = Chat(f"http://127.0.0.1:{port.read_text()}/v1", "echo")
        made = worded([CAR, TREE], chat)
    finally:
        server.kill()
        server.wait()
    asked = made.text.partition(" | ")[0][::-1]
    assert "- car: on the left, strength 1.00 - tree: on the right" in asked
    assert made.by == "echo" and made.units == (1, 3) and made.held < 1
