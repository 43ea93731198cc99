"""The layout of SAELens: a folder with `cfg.json` and `sae_weights.safetensors`.

`W_enc` is (d k), `W_dec` (k d), and with h = (x - b_dec if `apply_b_dec_to_input`) W_enc + b_enc

    standard   z = ReLU(h)
    topk       z = ReLU(TopK(h)), after h ‖d_i‖ where `rescale_acts_by_decoder_norm`
    jumprelu   z = ReLU(h) [h > threshold]
    gated      z = [h + b_gate > 0] ReLU(exp(r_mag) h + b_mag)

A batchtopk is saved as a jumprelu; one that was kept in the middle of training holds
`topk_threshold`. As of version 6.18; 6.54 opens what is written here.

References
----------
Bloom, Tigges, Duong, Chanin. SAELens. Software, 2024. The names.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from legenda.corpus.durable import land
from legenda.dictionaries.autoencoder import SparseAutoencoder
from legenda.dictionaries.batch_top_k import BatchTopK
from legenda.dictionaries.foreign import Named, laid, moved, record_of, tensors_of, whole
from legenda.dictionaries.gated import Gated
from legenda.dictionaries.jump_relu import JumpReLU
from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.dictionaries.storage import About, assembled
from legenda.dictionaries.top_k import TopK
from legenda.errors import Refused, Unsupported
from legenda.train.loop import keep

WEIGHTS, RECORD, VERSION = "sae_weights.safetensors", "cfg.json", "6.18.0"
TINY = torch.finfo(torch.float32).tiny
"""A threshold of 0 as JumpReLU, which learns its logarithm, can have it."""
MAIN = {"W_enc": "dk", "W_dec": "kd", "b_dec": "d"}
MORE = {
    "standard": ("b_enc",),
    "topk": ("b_enc",),
    "jumprelu": ("b_enc", "threshold"),
    "gated": ("b_gate", "r_mag", "b_mag"),
    "batchtopk": ("b_enc", "topk_threshold"),
    "matryoshka_batchtopk": ("b_enc", "topk_threshold"),
}
"""What each architecture holds beside `MAIN`, all of it (k) but the last."""


def read_saelens(folder: Path, name: str = "saelens") -> SparseAutoencoder:
    """A dictionary of SAELens, with its rule."""
    record, weights = record_of(folder / RECORD), tensors_of(folder / WEIGHTS)
    kind = architecture(record)
    scaling = weights.pop("scaling_factor", None)
    if scaling is not None and not torch.allclose(scaling, torch.ones_like(scaling)):
        raise Refused(
            f"the SAELens dictionary in {folder} holds a scaling_factor that is not 1, which "
            "SAELens no longer reads either. Fold it into W_dec."
        )
    more = {n: "" if n == "topk_threshold" else "k" for n in MORE[kind]}
    held = laid(weights, MAIN | more, f"{kind} of SAELens")
    encoder, decoder, bias = held["W_enc"], held["W_dec"], held["b_dec"]
    offset = held["b_gate"] if kind == "gated" else held["b_enc"]
    if record.get("rescale_acts_by_decoder_norm", kind.endswith("batchtopk")):
        length = decoder.norm(dim=1)
        encoder, offset, decoder = encoder * length[:, None], offset * length, decoder / length[:, None]  # noqa: E501 # fmt: skip
    learner, parameter, buffer = rule(kind, record, held)
    if not record.get("apply_b_dec_to_input", True):
        drift = encoder @ bias
        offset = moved(encoder, offset, bias)
        if "floor" in parameter:
            parameter["floor"] = parameter["floor"] + parameter["log_gain"].exp() * drift
    return assembled((encoder, offset, decoder, bias), learner, name, parameter, buffer)


def architecture(record: dict[str, Any]) -> str:
    """Which of `MORE` a record is of, if legenda can say the same."""
    said = str(record.get("activation_fn", record.get("activation_fn_str", "relu")))
    kind = str(record.get("architecture", "standard"))
    kind = "topk" if said == "topk" and kind == "standard" else kind
    if kind not in MORE or said not in ("relu", "topk"):
        raise Refused(
            f"SAELens's {kind} with {said} has no counterpart in legenda, which reads "
            f"{', '.join(MORE)}. Export one of these."
        )
    scaled = record.get("normalize_activations") or "none"
    if scaled != "none":
        raise Refused(
            f"this SAELens dictionary reads activations normalised by {scaled}; a dictionary of "
            "legenda reads them as they are. If that is a factor, fold it in with "
            "`fold_activation_norm_scaling_factor`."
        )
    return kind


def rule(kind: str, record: dict[str, Any], held: Named) -> tuple[Any, Named, Named]:
    """The learner, and the parameters and buffers that it reads."""
    k = len(held["W_enc"])
    if kind == "standard":
        return ReLUL1(k), {}, {}
    if kind == "topk":
        most = record.get("k", (record.get("activation_fn_kwargs") or {}).get("k"))
        return TopK(k, whole(most, "k", "topk of SAELens")), {}, {}
    if kind == "jumprelu":
        return JumpReLU(k), {"log_threshold": held["threshold"].clamp(min=TINY).log()}, {}
    if kind == "gated":
        return Gated(k), {"log_gain": held["r_mag"], "floor": held["b_mag"]}, {}
    most = max(1, round(float(record.get("k", 1))))
    return BatchTopK(k, most), {}, {"threshold": held["topk_threshold"].clamp(min=0)}


def write_saelens(folder: Path, dictionary: SparseAutoencoder, about: About | None = None) -> None:
    """Write a dictionary so that SAELens opens it, `SAE.load_from_disk(folder)`."""
    kind, more, settings = counterpart(dictionary)
    tensors = {
        "W_enc": dictionary.encoder.T, "W_dec": dictionary.atoms, "b_dec": dictionary.bias, **more,
    }  # fmt: skip
    about, (k, d) = about or About(), dictionary.atoms.shape
    record = {
        "architecture": kind, "d_in": d, "d_sae": k, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none", **settings,
        "metadata": {
            "sae_lens_version": VERSION, "model_name": about.model, "hook_name": about.site,
            "written_by": "legenda",
        },
    }  # fmt: skip
    keep(folder / WEIGHTS, {n: v.detach().float().cpu().clone() for n, v in tensors.items()}, {})
    land(folder / RECORD, json.dumps(record, indent=1).encode())


def counterpart(dictionary: SparseAutoencoder) -> tuple[str, dict[str, Tensor], dict[str, Any]]:
    """The architecture of SAELens that has the same rule, its tensors and its settings."""
    learner, offset = dictionary.learner, dictionary.offset
    own = dict(dictionary.named_parameters()) | dict(dictionary.named_buffers())
    kind = type(learner).__name__
    if kind == "ReLUL1":
        return "standard", {"b_enc": offset}, {}
    if kind == "JumpReLU":
        return "jumprelu", {"b_enc": offset, "threshold": own["log_threshold"].exp()}, {}
    if kind == "Gated":
        gates = {"b_gate": offset, "r_mag": own["log_gain"], "b_mag": own["floor"]}
        return "gated", gates, {}
    theta = own.get("threshold")
    if kind in ("BatchTopK", "MatryoshkaBatchTopK") and theta is not None and float(theta) >= 0:
        return "jumprelu", {"b_enc": offset, "threshold": theta.expand(len(offset))}, {}
    most = getattr(learner, "k", None) or max(getattr(learner, "ks", ()), default=0)
    if kind == "MatchingPursuit" or not most:
        raise Unsupported(
            "SAELens", "a rule that it has, of a threshold, a gate or the k largest",
            kind, "Keep it with `save_dictionary`.",
        )  # fmt: skip
    return "topk", {"b_enc": offset}, {"k": most, "rescale_acts_by_decoder_norm": False}
