"""`legenda fit-vae` through `main`, on drawn sprites."""

import json

import pytest
from PIL import Image

import legenda.cli as cli
from legenda.models.opening import open_model
from legenda.zoo.sprites.world import GREY, drawn

SMALL = "--latents 3 --side 16 --steps 6 --batch 8".split()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """30 sprites, in a folder for each shape."""
    made = drawn(GREY, 30, 0, 20)
    for i, picture in enumerate(made.pictures):
        folder = tmp_path / "pics" / f"shape{made.factors[i, 0]}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[0].numpy()).save(folder / f"{i:02d}.png")
    monkeypatch.chdir(tmp_path)
    if "fit-vae" not in cli.COMMANDS:
        plain = cli.app

        def app():
            made = plain()
            made.command("legenda.cli.fit_vae:fit_vae", name="fit-vae")
            return made

        monkeypatch.setattr(cli, "app", app)
    return tmp_path


def ran(capsys, *words, code=0):
    assert cli.main(["fit-vae", "pics", *SMALL, *words]) == code
    return capsys.readouterr()


def refused(capsys, *words):
    found = ran(capsys, *words, code=2)
    return found.err.removeprefix("legenda: ").strip()


def test_a_model_its_figures_and_what_comes_next(here, capsys):
    out, err = ran(capsys, "--out", "v", "--channels", "1")
    lines = out.splitlines()
    assert lines[0] == "3 latents fitted to 28 pictures, beta-tc"
    assert lines[1] == "on 2 held-out pictures:"
    assert lines[2].startswith("reconstruction: ") and "one picture for all" in lines[2]
    assert lines[2].endswith("(n 2)") and lines[3].startswith("kl: ")
    assert err == "v: its latents are opened by `legenda models v`\n"
    assert open_model("v").channels == 1
    again, _ = ran(capsys, "--out", "v", "--channels", "1")
    assert again.splitlines()[1:2] == lines[1:2]


def test_json_is_one_line_of_numbers(here, capsys):
    found = ran(capsys, "--out", "v", "--json", "--kind", "conditional", "--held-out", "0")
    (said,) = [json.loads(line) for line in found.out.splitlines()]
    assert said["kind"] == "fit-vae" and said["pictures"] == [30, 0] and said["refused"] == 0
    assert said["classes"] == ["shape0", "shape1", "shape2"] and len(said["latents"]) == 3
    low, high = said["figures"]["kl"]["interval"]
    assert low <= said["figures"]["kl"]["value"] <= high
    assert {"value", "interval", "n", "control"} == set(said["figures"]["reconstruction"])


def test_a_dry_run_writes_nothing(here, capsys):
    out, _ = ran(capsys, "--dry-run")
    assert " ".join(out.split()).startswith("28 pictures take 0.0 MB on disk while it is fitted;")
    said = json.loads(ran(capsys, "--dry-run", "--json").out)
    assert said["pictures"] == 28 and said["bytes"] == 28 * 3 * 256 and said["weights"] > 1000
    assert [p.name for p in here.iterdir()] == ["pics"]


def test_a_picture_that_cannot_be_read_is_said_and_the_rest_is_done(here, capsys):
    (here / "pics" / "shape0" / "broken.png").write_bytes(b"none")
    found = ran(capsys, "--out", "v", "--held-out", "0", code=2)
    assert "broken.png" in found.err and found.out.startswith("3 latents fitted to 31 pictures")
    assert (here / "v" / "vae.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--kind", "beta"],
            "there is no autoencoder of the kind 'beta'. Did you mean 'beta-h' or 'beta-b' or "
            "'beta-tc'? Known: ae, vae, beta-h, beta-b, beta-tc, factor, dip-i, dip-ii, "
            "conditional, csvae.",
        ),
        (["--steps", "0"], "--steps needs 1 or more; it got 0."),
        (["--beta", "x"], "--beta needs a number of 0 or more; it got 'x'."),
        (
            ["--kind", "vae", "--beta", "2"],
            "vae has no price. Leave --beta out, or take beta-h.",
        ),
        (
            ["--labels", "shape"],
            "--labels are told to conditional and csvae; beta-tc is told nothing. Leave them out.",
        ),
        (
            ["--held-out", "1"],
            "all 30 pictures are held out. Hold out fewer, or give more pictures.",
        ),
        (["--out", "."], "--out needs a folder of its own; it got '.'. Name one."),
        (
            ["--out", "pics"],
            "pics is there, and legenda did not write it. Choose another --out.",
        ),
        (
            ["--kind", "csvae", "--latents", "1"],
            "SubspaceNetwork needs a side that is a power of two from 16 on, latents beyond its "
            "subspace of 1 or more, and 1 condition or more; it got side=16, latents=1, "
            "subspace=1, conditions=2. Change these.",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(here, capsys, words, says):
    if "--steps" in words or "--latents" in words:
        given = [w for n, v in zip(SMALL[::2], SMALL[1::2], strict=True) if n not in words for w in (n, v)]  # fmt: skip # noqa: E501
        assert cli.main(["fit-vae", "pics", *given, *words]) == 2
        assert capsys.readouterr().err == f"legenda: {says}\n"
    else:
        assert refused(capsys, *words) == says
    assert sorted(p.name for p in here.iterdir()) == ["pics"]
