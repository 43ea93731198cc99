"""A dictionary of an atlas goes out as SAELens opens it, where its weights are at hand."""

import pytest
import torch

from legenda.atlas.entries import SetEntry
from legenda.atlas.export_dictionary import export_saelens
from legenda.atlas.sets import set_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_set
from legenda.dictionaries.autoencoder import SparseAutoencoder
from legenda.dictionaries.layout_saelens import read_saelens
from legenda.dictionaries.storage import save_dictionary
from legenda.dictionaries.top_k import TopK
from legenda.errors import BadInput, Missing, Refused
from tests.atlas.children import opened
from tests.atlas.made import made


def dictionary():
    lot = torch.Generator().manual_seed(0)
    encoder, decoder = torch.randn(2, 5, 3, generator=lot)
    offset, bias = torch.randn(5, generator=lot), torch.randn(3, generator=lot)
    return SparseAutoencoder(encoder, offset, decoder, bias, TopK(5, 2))


def test_a_dictionary_goes_out_as_saelens_reads_it(tmp_path):
    atlas = opened(tmp_path / "a")[0]
    kept = dictionary()
    save_dictionary(tmp_path / "a" / "weights.safetensors", kept)
    card = {"weights": "weights.safetensors"}
    number = put_set(atlas, SetEntry(1, "sae", "concept", 5, card=card))
    assert set_of(atlas, "sae") == set_of(atlas, "made:model/sae") == number
    export_saelens(atlas, number, tmp_path / "s")
    x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1))
    found = read_saelens(tmp_path / "s").encode(x)
    assert torch.equal(found.index, kept.encode(x).index)
    assert torch.allclose(found.weight, kept.encode(x).weight, atol=1e-6)
    with pytest.raises(BadInput) as caught:
        export_saelens(atlas, number, tmp_path / "s")
    assert str(caught.value) == (
        f"--saelens {tmp_path / 's'} is there and not empty. Name a new folder."
    )
    put_set(atlas, SetEntry(1, "sae", "concept", 6, card=card))
    with pytest.raises(Refused) as caught:
        export_saelens(atlas, number, tmp_path / "t")
    assert str(caught.value) == (
        "made:model/sae has 6 units; its weights at weights.safetensors have 5. Give the card of "
        "the set the weights that were explained."
    )
    assert not (tmp_path / "t").exists()


def test_a_set_whose_weights_are_elsewhere_is_refused(tmp_path):
    source = Atlas(made(tmp_path / "a"))
    with pytest.raises(Missing) as caught:
        export_saelens(source, set_of(source, "matryoshka"), tmp_path / "s")
    assert str(caught.value) == (
        f"zoo:scenes/matryoshka of {source.folder} does not say where its weights lie: its card "
        "has no `weights`. Export the dictionary where it was fitted, with `write_saelens`."
    )
    with pytest.raises(BadInput) as caught:
        set_of(source, "matrioshka")
    assert str(caught.value) == (
        f"{source.folder} has no set 'matrioshka'. Did you mean 'zoo:scenes/matryoshka'? It has: "
        "zoo:vae/latents, zoo:scenes/matryoshka, zoo:vae/codebook."
    )
