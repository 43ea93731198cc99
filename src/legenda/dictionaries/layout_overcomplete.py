"""The layout of overcomplete 0.3.0: the state dict of a module, without its settings.

With h = W x + w of a linear encoder, and atoms d_i = exp(multiplier) v_i / ‖v_i‖,

    SAE           z = ReLU(h)
    TopKSAE       z = the k largest of ReLU(h)                k is `top_k`
    BatchTopKSAE  z = ReLU(h) [h ≥ threshold]                 threshold is `running_threshold`
    JumpSAE       z = ReLU(h) [h ≥ exp(thresholds)]
    MpSAE         z by k steps of matching pursuit            no encoder
    RATopKSAE, RAJumpSAE    as TopKSAE and JumpSAE, with atoms that are mixtures of points

Nothing is subtracted from x and nothing is added to what is written. k and the threshold are not
in the file: the caller gives them. A normalisation over a batch is folded into the encoder; hidden
layers are refused. Atoms are normalised by ℓ2, its default; archetypes have δ = 1, its default.

References
----------
Fel. Overcomplete: a vision-based toolbox for dictionary learning. Software, 2025. The names.
"""

from typing import Any

import torch
from torch import Tensor

from legenda.dictionaries.autoencoder import SparseAutoencoder
from legenda.dictionaries.batch_top_k import BatchTopK
from legenda.dictionaries.foreign import Named, below, laid, whole
from legenda.dictionaries.jump_relu import JumpReLU
from legenda.dictionaries.matching_pursuit import MatchingPursuit
from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.dictionaries.storage import assembled
from legenda.dictionaries.top_k import TopK
from legenda.errors import BadInput, Refused, near

KINDS = ("SAE", "TopKSAE", "BatchTopKSAE", "JumpSAE", "MpSAE", "RATopKSAE", "RAJumpSAE")
ATOMS = {"dictionary._weights": "kd", "dictionary.multiplier": ""}
MIXED = {
    "dictionary.C": "pd", "dictionary.W": "kp", "dictionary.Relax": "kd",
    "dictionary.multiplier": "",
}  # fmt: skip
LINEAR = {"encoder.final_block.0.weight": "kd", "encoder.final_block.0.bias": "k"}
BATCH = {
    f"encoder.final_block.1.{n}": "k" for n in ("weight", "bias", "running_mean", "running_var")
}
SEEN = "encoder.final_block.1.num_batches_tracked"
OWN = {"encoder.weight": "kd", "encoder.bias": "k"}
TIED = {"encoder.tied_to._weights": "kd", "encoder.tied_to.multiplier": ""}
EPSILON = 1e-5
"""What torch's normalisation over a batch adds to the variance."""


def read_overcomplete(
    weights: Named, kind: str | None, k: int | None, threshold: float | None, name: str
) -> SparseAutoencoder:
    """A dictionary of overcomplete, with its rule."""
    kind = kind or guessed(weights, k, threshold)
    if kind not in KINDS:
        raise BadInput(
            f"overcomplete has no {kind!r} that legenda reads.{near(kind, KINDS)} Known: "
            f"{', '.join(KINDS)}."
        )
    held = laid(weights, expected(weights, kind), kind, " ".join((*OWN, SEEN)))
    atoms = made(held)
    bias = torch.zeros_like(atoms[0])
    if kind == "MpSAE":
        if not float(held["dictionary.multiplier"]) == 0:
            raise Refused(
                "a MpSAE with a multiplier takes steps of another length. Train it without."
            )
        learner = MatchingPursuit(len(atoms), whole(k, "k", kind), repeat=True)
        main, one = (atoms, torch.zeros(len(atoms)), atoms.clone(), bias), torch.ones(())
        return assembled(main, learner, name, buffer={"scale": one})
    learner, parameter, buffer = rule(kind, held, k, threshold)
    encoder, offset = reading(held, atoms)
    return assembled((encoder, offset, atoms, bias), learner, name, parameter, buffer)


def guessed(weights: Named, k: int | None, threshold: float | None) -> str:
    """What the names, and what was given with them, tell."""
    mixed = "RA" if "dictionary.C" in weights else ""
    if "thresholds" in weights:
        return f"{mixed}JumpSAE"
    if not any(n.startswith("encoder.") for n in weights) and not mixed:
        return "MpSAE"
    if threshold is not None:
        return "BatchTopKSAE"
    if k is not None or mixed:
        return f"{mixed}TopKSAE"
    raise BadInput(
        "a state dict of overcomplete does not say whether it is a SAE, a TopKSAE or a "
        "BatchTopKSAE. Give k=… of a TopKSAE, threshold=… of a BatchTopKSAE, or kind='SAE'."
    )


def expected(weights: Named, kind: str) -> dict[str, str]:
    """The names that such a module has, with the encoder that this one has."""
    axes = dict(MIXED if kind.startswith("RA") else ATOMS)
    if kind.endswith("JumpSAE"):
        axes["thresholds"] = "k"
    if kind == "MpSAE":
        return axes
    if any(n in weights for n in TIED):
        return (
            axes | {n: "kd" if n.endswith("_weights") else "" for n in TIED} | {"encoder.bias": "k"}
        )
    if "encoder.weight" in weights:
        return axes | OWN
    if "encoder.final_block.1.running_var" in weights:
        return axes | LINEAR | BATCH | {SEEN: ""}
    return axes | LINEAR


def made(held: Named) -> Tensor:
    """The atoms as the module makes them once it is done learning."""
    size = held["dictionary.multiplier"].exp()
    if "dictionary._weights" in held:
        v = held["dictionary._weights"]
        return v / (v.norm(dim=1, keepdim=True) + 1e-8) * size
    w, detour = held["dictionary.W"].relu(), held["dictionary.Relax"]
    w = w / (w.sum(1, keepdim=True) + 1e-8)
    most = (1 / detour.norm(dim=1, keepdim=True)).clamp(max=1)
    return (w @ held["dictionary.C"] + detour * most) * size


def reading(held: Named, atoms: Tensor) -> tuple[Tensor, Tensor]:
    """W and w of h."""
    nothing = torch.zeros(len(atoms))
    if any(n in held for n in TIED):
        return atoms.clone(), held.get("encoder.bias", nothing)
    if "encoder.weight" in held:
        return held["encoder.weight"], held.get("encoder.bias", nothing)
    encoder, offset = (held[n] for n in LINEAR)
    if all(n in held for n in BATCH):
        gain, lift, mean, variance = (held[n] for n in BATCH)
        gain = gain / (variance + EPSILON).sqrt()
        return encoder * gain[:, None], (offset - mean) * gain + lift
    return encoder, offset


def rule(
    kind: str, held: Named, k: int | None, threshold: float | None
) -> tuple[Any, Named, Named]:
    """The learner, and the parameters and buffers that it reads."""
    units = len(held.get("dictionary._weights", held.get("dictionary.W", ())))
    if kind == "SAE":
        return ReLUL1(units), {}, {}
    if kind.endswith("JumpSAE"):
        return JumpReLU(units), {"log_threshold": held["thresholds"]}, {}
    if kind.endswith("TopKSAE") and kind != "BatchTopKSAE":
        return TopK(units, whole(k, "k", kind)), {}, {}
    if threshold is None:
        raise BadInput(
            "a BatchTopKSAE needs threshold, its `running_threshold`, which its state dict does "
            "not hold. Give threshold."
        )
    lowered = below(torch.tensor(float(threshold))).clamp(min=0)
    return BatchTopK(units, whole(k or 1, "k", kind)), {}, {"threshold": lowered}
