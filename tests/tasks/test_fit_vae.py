"""An autoencoder fitted to a folder of sprites: kept, gone on with, opened again."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from legenda.autoencoders.subspace import subspace_network
from legenda.corpus.pictures import from_source, split
from legenda.errors import BadInput, Refused
from legenda.models.opening import open_model
from legenda.models.vae import from_module
from legenda.tasks.byte_pictures import in_bytes, told_of
from legenda.tasks.fit_vae import fit_vae
from legenda.tasks.vae_folder import read_training
from legenda.tasks.vae_settings import VAESettings, vae_cost
from legenda.zoo.sprites.world import COLOUR, drawn

HOW = VAESettings("beta-tc", latents=4, side=16, steps=12, batch=8, every=4, price=2.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """40 sprites of 24 pixels, in a folder for each shape; one more is no picture."""
    home, made = tmp_path_factory.mktemp("sprites"), drawn(COLOUR, 40, 0, 24)
    for i, picture in enumerate(made.pictures):
        folder = home / str(COLOUR.levels["shape"][made.factors[i, 0]])
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{i:02d}.png")
    (home / "0.0" / "broken.png").write_bytes(b"no picture")
    return home


def both(place):
    return split(from_source(place), 0.2)


class Killed(BaseException):
    """Somebody pulled the plug."""


def fitted(folder, place, how=HOW, killed=None, heard=None):
    def report(what, done, total, figures):
        if heard is not None:
            heard.append((what, done, total))
        if (what, done) == killed:
            raise Killed

    return fit_vae(folder, *both(place), how, report)


@pytest.fixture(scope="module")
def whole(place, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "v"
    return folder, fitted(folder, place)


def test_what_it_leaves_opens_and_encodes_as_it_did(whole):
    folder, found = whole
    assert sorted(p.name for p in folder.iterdir()) == ["training.json", "vae.safetensors"]
    opened = open_model(str(folder))
    assert (opened.width, opened.channels, opened.preprocess.size) == (4, 3, (16, 16))
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert opened.acts(x)[:, 0].equal(found.network.encode(x)[0])


def test_its_figures_are_those_of_held_out_pictures(whole, place):
    folder, found = whole
    _, held = both(place)
    view = in_bytes(folder.parent / "again.bytes", held, (3, 16), lambda *_: None, "")
    x = view.pixels.float() / 255
    with torch.no_grad():
        mean, log_variance = found.network.encode(x)
        m = found.network.decode(mean)
        nats = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1)
    lost = -(x * m.log() + (1 - x) * (1 - m).log()).sum((1, 2, 3))
    first, kl = found.scores
    assert first.value == pytest.approx(float(lost.mean()), rel=1e-5)
    assert first.interval[0] < first.value < first.interval[1] and first.n == len(x)
    assert kl.value == pytest.approx(float(nats.sum(1).mean()), rel=1e-4)
    assert [s.value for s in found.each] == pytest.approx(nats.mean(0).tolist(), rel=1e-4)
    assert found.active == [i for i, v in enumerate(nats.mean(0)) if v >= 0.01]
    said = read_training(folder)
    assert said["figures"]["reconstruction"]["value"] == first.value
    assert said["asked"]["kind"] == "beta-tc" and said["active"] == found.active
    seen = both(place)[0]
    name, why = found.refused[0]
    assert "broken" in name and len(found.refused) == 1 and "broken.png" in why
    assert len(seen) + len(held) == 41


def test_the_control_is_one_picture_for_all(whole, place):
    folder, found = whole
    seen, held = (
        in_bytes(folder.parent / f"c{i}", p, (3, 16), lambda *_: None, "").pixels / 255
        for i, p in enumerate(both(place))
    )
    m = seen.double().mean(0).clamp(1e-4, 1 - 1e-4)
    slow = -(held * m.log() + (1 - held) * (1 - m).log()).sum((1, 2, 3)).mean()
    assert found.scores[0].control == pytest.approx(float(slow), rel=1e-5)


@pytest.mark.parametrize("killed", [("pictures", 20), ("held out", 1), ("fitting", 7), ("fitting", 12)])  # fmt: skip # noqa: E501
def test_a_killed_fit_ends_with_the_same_bits(whole, place, tmp_path, killed):
    folder = tmp_path / "v"
    with pytest.raises(Killed):
        fitted(folder, place, killed=killed)
    heard = []
    again = fitted(folder, place, heard=heard)
    for name in ("vae.safetensors", "training.json"):
        assert (folder / name).read_bytes() == (whole[0] / name).read_bytes()
    assert again.scores == whole[1].scores
    if killed[0] == "fitting":
        assert {what for what, _, _ in heard} <= {"fitting"}, "no picture is read twice"


def test_a_finished_fit_costs_nothing_more(whole, place):
    heard = []
    again = fitted(whole[0], place, heard=heard)
    assert not heard
    assert [s.value for s in again.scores] == [s.value for s in whole[1].scores]
    assert again.refused == whole[1].refused and again.active == whole[1].active


def test_bytes_are_the_pictures_at_their_size(place, tmp_path):
    pictures = from_source(place)
    grey = in_bytes(tmp_path / "g", pictures, (1, 24), lambda *_: None, "")
    assert grey.pixels.shape == (40, 1, 24, 24) and len(grey.kept) == 40
    for row, i in ((0, grey.kept[0]), (39, grey.kept[39])):
        plain = np.asarray(pictures.open(i), np.float64).mean(2)
        assert abs(grey.pixels[row, 0].numpy() - plain).max() <= 0.51
    few = in_bytes(tmp_path / "f", pictures, (3, 16), lambda *_: None, "", most=5)
    assert len(few.kept) + len(few.refused) == 5


def test_a_conditional_model_is_told_and_opens_again(place, tmp_path):
    found = fitted(tmp_path / "v", place, replace(HOW, kind="conditional"))
    assert found.classes == ("0.0", "1.0", "2.0") and found.network.conditions == 3
    opened = open_model(str(tmp_path / "v"))
    assert opened.width == 4
    assert read_training(tmp_path / "v")["classes"] == ["0.0", "1.0", "2.0"]


def test_a_csvae_opens_again_by_its_own_network(place, tmp_path):
    found = fitted(tmp_path / "v", place, replace(HOW, kind="csvae"))
    assert found.network.subspace == 2
    made = subspace_network(load_file(tmp_path / "v" / "vae.safetensors"))
    opened = from_module(made, ref="v")
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert opened.width == 4 and opened.decode(opened.acts(x)).shape == x.shape


def test_told_numbers_are_those_of_the_class(place):
    pictures = from_source(place)
    told = told_of(pictures)
    y = told.numbers(pictures, tuple(range(len(pictures))))
    assert y.sum(1).eq(1).all()
    assert [told.classes[i] for i in y.argmax(1)] == [pictures.label(i) for i in range(41)]
    assert type(told)(("1.0",)).numbers(pictures, (0, 40)).shape == (2, 1)


def test_what_it_takes(place):
    cost = vae_cost(from_source(place), HOW)
    assert (cost.pictures, cost.bytes) == (41, 41 * 3 * 256)
    assert cost.weights == sum(p.numel() for p in HOW.network().parameters())
    assert cost.epochs == pytest.approx(12 * 8 / 41)


def refusal(call, kind=BadInput):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_a_folder_of_another_training_is_refused(whole, place, tmp_path):
    folder, _ = whole
    assert refusal(lambda: fitted(folder, place, replace(HOW, latents=5))) == (
        f"{folder} holds an autoencoder whose latents is 4; asked for is 5. Choose another --out."
    )
    (tmp_path / "mine.txt").write_text("mine")
    assert refusal(lambda: fitted(tmp_path, place)) == (
        f"{tmp_path} is there, and legenda did not write it. Choose another --out."
    )
    (tmp_path / "mine.txt").unlink()
    (tmp_path / "training.json").write_text(json.dumps({"schema": 9}))
    assert refusal(lambda: fitted(tmp_path, place), Refused) == (
        f"{tmp_path / 'training.json'} cannot be read, or is of another legenda. Choose another "
        "--out."
    )


def test_pictures_without_labels_are_refused(place, tmp_path):
    (tmp_path / "flat").mkdir()
    for path in list(place.rglob("*.png"))[:6]:
        (tmp_path / "flat" / path.name).write_bytes(path.read_bytes())
    assert refusal(lambda: told_of(from_source(tmp_path / "flat"))) == (
        "this kind is told what each picture shows; 6 of 6 pictures have no label. Put them in one "
        "folder per class, name the column by --labels, or take beta-tc."
    )


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (
            replace(HOW, channels=2),
            "an autoencoder needs latents, steps, batch and every of 1 or more, a rate above 0 and "
            "1 or 3 channels; it got 4, 12, 8, 4, 0.001 and 2.",
        ),
        (
            replace(HOW, side=48),
            "Burgess takes pictures whose side is a power of two from 16 on; it got 48. Use 32 or "
            "64.",
        ),
        (
            replace(HOW, more={"bete": 2}),
            "beta-tc has no setting 'bete'. Did you mean 'beta'? It has: beta, alpha, gamma, "
            "estimator, pictures.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(how, says):
    assert refusal(how.objective) == says
