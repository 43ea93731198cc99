"""`legenda concepts` through `main`, on painted pictures and on what ships."""

import shlex
import subprocess
import sys
import time

import pytest

from legenda.cli import main
from tests.cli import concept_world
from tests.cli.concept_world import MODEL, painted, ran, refused, told
from tests.show.test_page import Tags

GIVEN = ["concepts", "--atlas", "a"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Everything that the four commands make, and a picture with a name of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("LEGENDA_CHAT_URL", "LEGENDA_CHAT_MODEL"):
        monkeypatch.delenv(name, raising=False)
    place = concept_world.world(tmp_path)
    painted(100).save(place / "ein bïld.png")
    return place


def test_a_picture_its_concepts_and_a_page(here, capsys):
    out, err = ran(capsys, *GIVEN, "ein bïld.png")
    assert out.startswith("ein bïld.png\n") and err == "legenda-concepts.html\n"
    text = (here / "legenda-concepts.html").read_text("utf-8")
    assert len(Tags(text).of("article")) == 1 and "ein bïld.png" in text
    command = "legenda concepts 'ein bïld.png' --atlas a --out legenda-concepts.html"
    assert command.replace("'", "&#39;") in text
    assert main(shlex.split(command)[1:]) == 0
    assert (here / "legenda-concepts.html").read_text("utf-8") == text


def test_json_has_a_line_for_each_picture(here, capsys):
    one, two = told(capsys, *GIVEN, "pics/000.png", "pics/001.png", "--count", "2")
    assert (one["source"], two["source"]) == ("000.png", "001.png")
    for said in (one, two):
        assert said["kind"] == "concepts" and 1 <= len(said["concepts"]) <= 2
        for concept in said["concepts"]:
            assert len(concept["map"]) == 6 and max(map(max, concept["map"])) > 0
    assert set(one["caption"]["text"].lower().strip(".").split()) & set(concept_world.COLOURS)


def test_of_several_pictures_the_others_go_on(here, capsys):
    (here / "bad.png").write_bytes(b"no picture")
    said = told(capsys, *GIVEN, "pics/000.png", "bad.png", "gone.png", "pics/001.png", code=2)
    assert [one.get("source") for one in said] == ["000.png", "001.png", None, None]
    assert said[2]["error"].startswith("bad.png is not an image that legenda reads")
    text = (here / "legenda-concepts.html").read_text("utf-8")
    assert "bad.png is not an image" in text and len(Tags(text).of("article")) == 2


def test_where_none_can_be_read_there_is_no_page(here, capsys):
    (here / "bad.png").write_bytes(b"no picture")
    said = refused(capsys, *GIVEN, "bad.png")
    assert said.startswith("bad.png is not an image that legenda reads")
    out, err = ran(capsys, *GIVEN, "bad.png", "gone.png", code=2)
    assert out == "" and len(err.splitlines()) == 2
    assert not (here / "legenda-concepts.html").exists()


def test_a_unit_that_is_in_no_hierarchy_is_shown_all_the_same(here, capsys):
    ran(capsys, "relations", "a", "--least", "100000")
    assert told(capsys, *GIVEN, "pics/000.png")[0]["concepts"]
    (here / "a" / "relations.json").unlink()
    assert told(capsys, *GIVEN, "pics/000.png")[0]["concepts"]


def test_only_a_dictionary_is_needed(here, capsys):
    before = told(capsys, *GIVEN, "pics/000.png", "--by", "mass")[0]["concepts"]
    concept_world.shutil.rmtree("a/survey")
    for part in ("names.json", "relations.json", "exemplars.webp", "exemplars.json"):
        (here / "a" / part).unlink(missing_ok=True)
    (said,) = told(capsys, *GIVEN, "pics/000.png", "--by", "mass")
    assert [c["unit"] for c in said["concepts"]] == [c["unit"] for c in before]
    assert said["caption"] is None and {c["word"] for c in said["concepts"]} == {None}
    assert told(capsys, *GIVEN, "pics/000.png", "--named")[0]["concepts"] == []
    assert refused(capsys, *GIVEN, "pics/000.png", "--steer", "0+1") == (
        "a change is told by likeness to sentences; no unit has a name, and no classes were given. "
        "Give some, or name the units with `legenda name`."
    )
    told(capsys, *GIVEN, "pics/000.png", "--steer", "0+1", "--classes", "red")
    assert refused(
        capsys, *GIVEN, "pics/000.png", "--chat", "http://127.0.0.1:9", "--chat-model", "m"
    ) == (  # noqa: E501
        "a caption is made of the names of units; none has one. Name them with `legenda name`, or "
        "leave the chat model out."
    )


def test_neurons_have_no_sentences(here, capsys):
    from tests.cli.concept_world import FIT

    ran(capsys, "fit", f"{MODEL}@image=read", "pics", *FIT, "--kind", "topk", "--out", "n")
    assert told(capsys, "concepts", "pics/000.png", "--atlas", "n")[0]["concepts"]
    assert refused(capsys, "concepts", "pics/000.png", "--atlas", "n", "--classes", "red") == (
        "comparing with sentences needs a model whose patches meet sentences; "
        f"{MODEL}@image=read has none. Fit concepts to the patches of a dual encoder, such as "
        "zoo:photos@patches."
    )


def test_classes_and_changes(here, capsys):
    ran(capsys, "name", "a", "--correct", "0=a>b", "--correct", "1=sky")
    (said,) = told(
        capsys, *GIVEN, "pics/000.png", "--classes", "red, green ,blue,red", "--steer", "sky+2"
    )
    assert [one["class"] for one in said["segments"]] == ["red", "green", "blue"]
    assert sum(one["share"] for one in said["segments"]) == pytest.approx(1)
    assert [one["text"] for one in said["steered"]] == ["red", "green", "blue"]
    for one in said["steered"]:
        assert one["random"][0] <= one["random"][1] and one["before"] != one["after"]
    out, _ = ran(capsys, *GIVEN, "pics/000.png", "--classes", "red,green", "--steer", "1:off")
    assert " % of the picture" in out and "random changes:" in out and "()" not in out


def test_no_change_changes_nothing(here, capsys):
    (said,) = told(capsys, *GIVEN, "pics/000.png", "--classes", "red", "--steer", "1+0")
    assert said["steered"][0]["before"] == said["steered"][0]["after"]


def test_a_name_of_several_units_is_the_one_it_fits_best(here, capsys):
    ran(capsys, "name", "a", "--correct", "2=twin", "--correct", "3=twin")
    from legenda.cli.concepts import changes
    from legenda.core.codes import Codes
    from legenda.tasks.reading import Reader

    reader = Reader.of("a")
    best = max((2, 3), key=lambda unit: reader.names[unit].score)
    import torch

    (edit,) = changes(["twin=5"], reader)
    codes = edit(Codes(torch.tensor([[[2, 3]]]), torch.ones(1, 1, 2), 12))
    assert codes.dense()[0, 0, best] == 5 and codes.dense()[0, 0, 5 - best] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "--count needs 1 or more; it got 0."),
        (["--by", "raritty"], "--by is one of rarity, mass, strongest; it got 'raritty'. Did you mean 'rarity'?"),  # noqa: E501
        (["--classes", " , "], "--classes names no sentence. Write some with commas between, or leave it out."),  # noqa: E501
        (["--steer", "red"], "a change is written wheel+3, wheel-1, wheel=2, wheel:off or wheel>sail, by name or by number; it got 'red'."),  # noqa: E501
        (["--steer", "0+much"], "'0+much' needs a finite number at its end; it got 'much'."),
        (["--steer", "0+inf"], "'0+inf' needs a finite number at its end; it got 'inf'."),
        (["--steer", "99=1"], "there is no concept '99', which is neither a name nor a number below 12."),  # noqa: E501
        (["--steer", "reed:off"], "there is no concept 'reed', which is neither a name nor a number below 12. Did you mean"),  # noqa: E501
        (["--out", "p.png"], "--out p.png is to be a page. Name a page ending in .html."),
        (["--out", "no/p.html"], "--out no/p.html lies in no, which is no folder. Make it first."),
        (["--out", "mine.html"], "mine.html is there, and legenda did not write it. Choose another --out."),  # noqa: E501
        (["--atlas", "b"], "folder of concepts b is not there. Check the path."),
        (["--atlas", "pics"], "pics has no dictionary yet. Fit one with `legenda fit`."),
        (["--chat", "ftp://x", "--chat-model", "m"], "Chat needs an address that begins with http:// or https://, and a model; it got 'ftp://x' and 'm'."),  # noqa: E501
        (["--chat", "http://127.0.0.1:9"], "a chat model needs both an address and a name. Set LEGENDA_CHAT_URL and LEGENDA_CHAT_MODEL, such as http://localhost:11434/v1 and llava."),  # noqa: E501
        (["--device", "cuda:9"], "there is no device 'cuda:9' here. Choose one of: cpu."),
    ],
)  # fmt: skip
def test_a_bad_option_is_refused(here, capsys, options, message):
    (here / "mine.html").write_text("mine")
    given = {"--atlas": "a"} | dict(zip(options[::2], options[1::2], strict=True))
    flat = [word for pair in given.items() for word in pair]
    for pictures in (["pics/000.png"], ["pics/000.png", "pics/001.png"]):
        said = refused(capsys, "concepts", *pictures, *flat)
        assert said.startswith(message)
    assert not (here / "legenda-concepts.html").exists()
    assert (here / "mine.html").read_text() == "mine"


def test_no_picture_is_named(here, capsys):
    assert refused(capsys, *GIVEN) == "concepts needs a picture or more. Name them."


def test_what_was_fitted_by_hand_is_read_or_refused(here, capsys):
    place = here / "a" / "dictionary.safetensors"
    data = bytearray(place.read_bytes())
    data[-9] ^= 1
    place.write_bytes(bytes(data))
    assert refused(capsys, *GIVEN, "pics/000.png") == (
        "a/dictionary.safetensors is damaged: its content is not what was written. Copy it again."
    )


@pytest.fixture
def server(tmp_path):
    """The address of a chat server that runs."""
    place = tmp_path / "port"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.describe.chat_server", str(place)],
        cwd=concept_world.__file__.split("/tests/")[0],
    )
    for _ in range(600):
        if place.exists() and place.read_text():
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{place.read_text()}"
    process.terminate()
    process.wait()


def test_a_chat_model_puts_the_caption_into_words(here, capsys, server):
    chat = ["--chat", server, "--chat-model", "m"]
    (said,) = told(capsys, *GIVEN, "pics/000.png", *chat)
    assert said["caption"]["by"] == "m" and "stpecnoC" in said["caption"]["text"]
    assert 0 <= said["caption"]["held"] <= 1
    text = (here / "legenda-concepts.html").read_text("utf-8")
    assert "Said by m from the concepts;" in text and f"--chat {server} --chat-model m" in text
    gone = ["--chat", server, "--chat-model", "gone"]
    (here / "legenda-concepts.html").unlink()
    for pictures in (["pics/000.png"], ["pics/000.png", "pics/001.png"]):
        assert refused(capsys, *GIVEN, *pictures, *gone).startswith(f"{server} ")
    assert not (here / "legenda-concepts.html").exists()


def test_what_ships_reads_a_scene(tmp_path, monkeypatch, capsys):
    from legenda.zoo.scenes.concept_pictures import HELD_OUT, DrawnScenes

    monkeypatch.chdir(tmp_path)
    DrawnScenes(HELD_OUT, 1).open(0).save("scene.png")
    (said,) = told(capsys, "concepts", "scene.png", "--atlas", "zoo:scenes", "--named")
    assert said["concepts"] and all(one["word"] and one["check"] for one in said["concepts"])


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(here, capsys):
    before = concept_world.files(here)
    (said,) = told(capsys, *GIVEN, "ein bïld.png", "ein bïld.png", "--dry-run")
    assert said["kind"] == "cost" and said["pictures"] == 2 and said["seconds"] > 0
    out, err = ran(capsys, *GIVEN, "ein bïld.png", "--dry-run")
    assert out.startswith("1 pictures would take about") and err == ""
    assert concept_world.files(here) == before
