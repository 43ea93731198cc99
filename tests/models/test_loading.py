"""Weights of a checkpoint file: read by name, whatever the file is, or refused in a sentence."""

import pytest
import torch
from safetensors.torch import save_file

from legenda.errors import Refused
from legenda.models.loading import weights_of
from legenda.models.tiny_autoencoder import open_tiny
from legenda.models.vae_hub import open_disentangled
from legenda.models.vq_hub import open_taming

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}


def refusal(call, *given):
    with pytest.raises(Refused) as caught:
        call(*given)
    return str(caught.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.ckpt", "nested.pth"])
def test_weights_are_read_by_name(tmp_path, name):
    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file(WEIGHTS, path)
    else:
        torch.save({"state_dict": WEIGHTS} if name == "nested.pth" else WEIGHTS, path)
    found = weights_of(path)
    assert found.keys() == WEIGHTS.keys()
    assert all(found[n].equal(w) for n, w in WEIGHTS.items())


@pytest.mark.parametrize("name", ["w.safetensors", "w.ckpt"])
def test_a_broken_file_is_refused_with_what_to_do(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no weights")
    said, safe = refusal(weights_of, path), name.endswith("safetensors")
    assert said.startswith(f"{name} cannot be read as weights alone: ")
    instead = (
        "Copy it again." if safe else "Save its state_dict as safetensors where you trust the file."
    )  # noqa: E501
    assert said.endswith(instead)


def test_a_pickle_that_runs_code_is_not_run(tmp_path):
    class Runs:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"state_dict": {"a": Runs()}}, tmp_path / "w.ckpt")
    said = refusal(weights_of, tmp_path / "w.ckpt")
    assert said.startswith("w.ckpt cannot be read as weights alone: ")


def test_what_holds_no_weights_by_name_is_refused(tmp_path):
    torch.save({"a": 3}, tmp_path / "odd.ckpt")
    assert refusal(weights_of, tmp_path / "odd.ckpt") == (
        "odd.ckpt holds no weights by name. Give a state_dict."
    )


def test_all_who_open_a_file_refuse_it_alike(tmp_path):
    for part in ("encoder", "decoder"):
        (tmp_path / f"t_{part}.safetensors").write_bytes(b"no weights")
    said = refusal(weights_of, tmp_path / "t_encoder.safetensors")
    assert refusal(open_tiny, tmp_path, "t") == said
    assert refusal(open_disentangled, tmp_path / "t_encoder.safetensors", "t") == said
    assert refusal(open_taming, tmp_path / "t_encoder.safetensors", "t") == said
