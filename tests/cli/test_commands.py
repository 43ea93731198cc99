"""Commands through `main`, in this process; a few real processes at the end."""

import csv
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from legenda import cli
from legenda.cli import main
from legenda.models import opening
from legenda.zoo.scenes import draw
from legenda.zoo.scenes.render import photograph

FAST = ["--no-score", "--steps", "2"]


@pytest.fixture(scope="module")
def dual():
    return opening.open_model("zoo:scenes")


@pytest.fixture
def here(tmp_path, monkeypatch, dual):
    """An empty folder with one picture in it; the model is opened once for all tests."""
    real = opening.open_model
    monkeypatch.setattr(
        "legenda.agreement.open_model",
        lambda ref, site=None, **options: (
            dual
            if (ref, site, options) == ("zoo:scenes", None, {"device": "cpu"})
            else real(ref, site, **options)
        ),
    )
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photograph(draw(2_000_182))).save("scene.png")
    return tmp_path


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_one_pair_is_explained(here, capsys):
    assert main(["explain", "zoo:scenes", "scene.png", "a yellow house", *FAST]) == 0
    out, err = capsys.readouterr()
    assert "scene.png: a yellow house" in out and err == "legenda-explain/index.html\n"
    (overlay,) = [n for n in names(here / "legenda-explain") if n.endswith(".png")]
    assert names(here / "legenda-explain") == ["index.html", "results.jsonl", overlay]
    with Image.open(here / "legenda-explain" / overlay) as made:
        assert made.width == 96


def test_json_is_all_there_is_on_stdout(here, capsys):
    words = ["explain", "zoo:scenes", "scene.png", "a house", "--json", "--out", "o.html", *FAST]
    assert main(words) == 0
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert said["sentence"] == "a house" and len(said["map"]) == 12
    assert names(here) == ["o.html", "scene.png"]


def test_the_command_on_the_page_makes_the_same_map(here, capsys):
    import shlex

    words = ["explain", "zoo:scenes", "scene.png", "a house", "--json", "--set", "draws=1", *FAST]
    assert main([*words, "--out", "a.html"]) == 0
    first = json.loads(capsys.readouterr().out)
    again = shlex.split(first["command"])[1:]
    assert main([*again, "--json", "--no-score", "--out", "b.html"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["map"] == first["map"] and second["words"] == first["words"]


def test_a_second_run_does_only_what_is_missing(here, capsys, monkeypatch):
    words = ["explain", "zoo:scenes", "scene.png", "a yellow house", *FAST]
    assert main(words) == 0
    lines = Path("legenda-explain/results.jsonl").read_bytes()
    with monkeypatch.context() as frozen:
        frozen.setattr("legenda.agreement.explainer", lambda *_, **__: None)  # nothing to compute
        assert main(words) == 0
    assert Path("legenda-explain/results.jsonl").read_bytes() == lines
    assert main([*words, "--beta", "3"]) == 0
    assert len(Path("legenda-explain/results.jsonl").read_text().splitlines()) == 2


def test_of_a_list_the_others_go_on(here, capsys):
    Path("bad.png").write_bytes(b"no picture")
    with Path("pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["image", "text"],
                ["scene.png", "a house"],
                ["bad.png", "a cat"],
                ["scene.png", "sand"],
            ]
        )
    assert main(["explain", "zoo:scenes", "pairs.csv", "--json", *FAST]) == 2
    out, err = capsys.readouterr()
    said = [json.loads(line) for line in out.splitlines()]
    assert [s.get("sentence") for s in said] == [None, "a house", "sand"]
    assert said[0]["error"].startswith("line 3: ") and said[0]["line"] == 3
    assert err.startswith("legenda: line 3: ") and "bad.png" in err
    assert "bad.png" in Path("legenda-explain/index.html").read_text()


def _png(width: int, height: int) -> bytes:
    """A PNG whose header promises a size, and nothing more."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    sum_ = struct.pack(">I", zlib.crc32(b"IHDR" + head))
    body = struct.pack(">I", 4) + b"IDAT" + bytes(8)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + sum_ + body


BROKEN = "is not an image that legenda reads (AVIF, BMP, GIF, JPEG, JPEG2000, PNG, PPM, TIFF, WEBP), or its header is broken. Save it as PNG or JPEG."  # noqa: E501
REFUSED: list[tuple[list[str], str]] = [
    (["zoo:scenes", "empty.png", "a"], "empty.png is empty (0 bytes); an image is needed. Copy or export it again."),  # noqa: E501
    (["zoo:scenes", "text.png", "a"], f"text.png {BROKEN}"),
    (["zoo:scenes", "cut.png", "a"], "cut.png cannot be decoded"),
    (["zoo:scenes", "zero.png", "a"], "zero.png"),
    (["zoo:scenes", "huge.png", "a"], "huge.png has 900 megapixels; at most 64 are opened. Make it smaller first (in Python, `limit=` can be raised)."),  # noqa: E501
    (["zoo:scenes", "scen.png", "a"], "image, folder or file of pairs scen.png is not there. Did you mean 'scene.png'"),  # noqa: E501
    (["zoo:scenes", "hollow", "a"], "hollow has no images; a file ending in one of"),
    (["zoo:scenes", "scene.png"], "scene.png needs a sentence to go with it; got none. Add one."),
    (["zoo:scenes", "scene.png", ""], "a text must say something; got an empty one. Write a sentence."),  # noqa: E501
    (["zoo:scenes", "scene.png", "a house " * 60], "scenes reads at most 40 tokens; 'a house a house a house a house a hou...' has 122. Shorten it."),  # noqa: E501
    (["zoo:scenes", "bad.jsonl"], "line 1 of bad.jsonl: a text must be a string; got 3. Put it in quotes."),  # noqa: E501
    (["zoo:scenes", "scene.png", "a", "--beta", "0"], "InformationBottleneck needs a finite price beta above 0; it got 0.0. Without a price nothing is left out. Try 1."),  # noqa: E501
    (["zoo:scenes", "scene.png", "a", "--beta", "x"], "--beta needs a number, such as 1, or one per tower, such as image=1,text=0.1; it got 'x'."),  # noqa: E501
    (["zoo:scenes", "scene.png", "a", "--bta", "1"], 'Unknown option: --bta. Did you mean --beta? See `legenda --help`.'),  # noqa: E501
    (["zoo:scenes", "scene.png", "a", "--set", "drws=1"], "m2ib has no setting 'drws'. It has:"),
    (["zoo:scenes", "scene.png", "a", "--method", "m2b"], "there is no method named 'm2b'. Did you mean 'm2ib'"),  # noqa: E501
    (["zoo:scenes", "scene.png", "a", "--device", "cuda:7"], "there is no device 'cuda:7' here. Choose one of: cpu"),  # noqa: E501
    (["zoo:scenes", "scene.png", "a", "--site", "image=9"], "scenes/image opens at embeddings or at blocks 0 to 3; it got 9. Choose one of them."),  # noqa: E501
    (["zoo:scenes", "scene.png", "a", "--site", "blocks.9"], "scenes/image opens at embeddings or at blocks 0 to 3; it got blocks.9. Choose one of them."),  # noqa: E501
    (["zoo:scenes", "scene.png", "a", "--out", "scene.png"], "--out scene.png is a file; a folder, or a name ending in .html, is needed."),  # noqa: E501
    (["zoo:scene", "scene.png", "a"], "there is no zoo model named 'scene'. Did you mean 'scenes'?"),  # noqa: E501
    (["hollow", "scene.png", "a"], "hollow is no model folder: it has no config.json. Give a folder in Hugging Face layout."),  # noqa: E501
    (["hollw", "scene.png", "a"], "there is no model 'hollw': it is no folder here"),
    (["other", "scene.png", "a"], "other is a 'bert' model; legenda opens clip, siglip, siglip2"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=lambda v: str(v)[:40])
def test_bad_input_gets_one_sentence_and_leaves_nothing(here, capsys, words, sentence):
    whole = Path("scene.png").read_bytes()
    Path("empty.png").touch()
    Path("text.png").write_text("no picture")
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("zero.png").write_bytes(_png(0, 4))
    Path("huge.png").write_bytes(_png(30_000, 30_000))
    Path("bad.jsonl").write_text('{"image": "scene.png", "text": 3}')
    Path("hollow").mkdir()
    Path("other").mkdir()
    Path("other/config.json").write_text('{"model_type": "bert"}')
    before = names(here)
    assert main(["explain", *words]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"legenda: {sentence}"), err
    assert err.count("\n") == 1 and "Traceback" not in err and out == ""
    assert names(here) == before


def _kind(kind: str, path: str) -> None:
    with Image.open("scene.png") as opened:
        image = opened.copy()
    if kind == "16-bit":
        grey = Image.frombytes("I;16", (96, 96), bytes(96 * 96 * 2))
        grey.save(path + ".png")
    elif kind == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.crop((0, 0, 96, 60)).save(path + ".jpg", exif=exif)
    elif kind == "animated":
        image.save(path + ".gif", save_all=True, append_images=[image])
    elif kind == "CMYK":
        image.convert("CMYK").save(path + ".jpg")
    else:
        image.convert(kind).save(path + ".png")


@pytest.mark.parametrize("kind", ["16-bit", "CMYK", "P", "RGBA", "rotated", "animated"])
def test_every_kind_of_picture_works(here, capsys, kind):
    _kind(kind, "odd")
    (path,) = Path().glob("odd.*")
    assert main(["explain", "zoo:scenes", str(path), "a house", "--json", *FAST]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["size"] == ([60, 96] if kind == "rotated" else [96, 96])


def test_errors_are_json_too(here, capsys):
    assert main(["explain", "zoo:scenes", "no.png", "a", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": err.removeprefix("legenda: ").rstrip("\n")}


def test_a_full_disk_is_one_sentence_and_no_half_file(here, capsys, monkeypatch):
    import errno

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = names(here)
    assert main(["explain", "zoo:scenes", "scene.png", "a house", *FAST]) == 2
    assert capsys.readouterr().err == (
        "legenda: the disk is full: writing failed. Make room and run again.\n"
    )
    assert names(here) == before


def test_an_interrupt_is_130(here, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("legenda.agreement.explanations", stop)
    assert main(["explain", "zoo:scenes", "scene.png", "a house", *FAST]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert names(here) == ["scene.png"]


def test_a_sweep_shows_every_setting(here, capsys):
    words = ["sweep", "zoo:scenes", "scene.png", "a house", "--steps", "2"]
    assert main([*words, "--beta", "0.3;image=3,text=0.1"]) == 0
    out = capsys.readouterr().out
    assert "β 0.3, steps 2" in out and "β image=3,text=0.1, steps 2" in out
    assert "All maps share one scale" in Path("legenda-sweep.html").read_text()


def test_models_are_listed_and_described(here, capsys):
    assert main(["models", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert "zoo:scenes" in said["zoo"] and "m2ib" in said["methods"]
    assert main(["models", "zoo:scenes", "--sites", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert "image=0" in said["all sites"] and said["sentences"] == "at most 40 tokens"


def test_the_doctor_says_what_works(here, capsys):
    assert main(["doctor", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["self-check"].startswith("passed") and "cpu" in said["devices"]


def test_the_zoo_has_cards(here, capsys):
    assert main(["zoo", "list", "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"zoo:scenes", "zoo:photos"} <= {s["model"] for s in said}
    assert main(["zoo", "card", "photos"]) == 0
    assert capsys.readouterr().out.startswith("# zoo:photos")
    assert main(["zoo", "card", "photo"]) == 2
    assert capsys.readouterr().err == (
        "legenda: there is no zoo model 'photo'. Did you mean 'photos'? "
        "Known: scenes, photos, vq, vae, ddpm.\n"
    )


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "legenda", *words], cwd=cwd, capture_output=True, text=True,
        timeout=300, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_help_needs_no_torch(tmp_path):
    code = (
        "import sys; from legenda.cli import main; main(['--help']); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert "explain" in done.stdout and done.stdout.endswith("False\n")
    assert run("--version", cwd=tmp_path).stdout == "0.1.0\n"


def test_a_real_process_refuses_with_two(tmp_path):
    done = run("explain", "zoo:scenes", "nothing.png", "a", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "legenda: image, folder or file of pairs nothing.png is not there. Check the path.\n"
    )
    assert json.loads(done.stdout)["error"] and names(tmp_path) == []


def test_an_interrupt_is_heard_even_before_a_command_begins(monkeypatch, capsys):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "ran", interrupted)
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")
