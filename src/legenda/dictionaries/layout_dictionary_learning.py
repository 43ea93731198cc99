"""The layout of dictionary_learning 0.1.0: `ae.pt`, a state dict, and `config.json` beside it.

With h = (x - b) W_enc + b_enc, b being `bias` or `b_dec`,

    AutoEncoder             z = ReLU(h), atoms made of unit length and h with them
    AutoEncoderNew          z = ReLU(h), and nothing subtracted from x
    AutoEncoderTopK         z = the k largest of ReLU(h)
    BatchTopKSAE, Matryoshka…   z = ReLU(h) [h > threshold]
    JumpReluAutoEncoder     z = ReLU(h) [h > threshold], and nothing subtracted from x
    GatedAutoEncoder        z = [h + gate_bias > 0] ReLU(exp(r_mag) h + mag_bias)

The checkpoints of CFM are state dicts of its Matryoshka. Where CFM asks for `use_threshold=False`
it gets all that is above 0, not the k largest: `dense` reads that. A threshold that was never set
is -1, and keeps all above 0 as well.

References
----------
Marks, Karvonen, Mueller. dictionary_learning. Software, 2024. The names.
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. What `dense` reads.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from legenda.dictionaries.autoencoder import SparseAutoencoder
from legenda.dictionaries.batch_top_k import BatchTopK
from legenda.dictionaries.foreign import Named, laid, moved, whole
from legenda.dictionaries.gated import Gated
from legenda.dictionaries.jump_relu import JumpReLU
from legenda.dictionaries.matryoshka import MatryoshkaBatchTopK
from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.dictionaries.storage import assembled
from legenda.dictionaries.top_k import TopK
from legenda.errors import BadInput, Refused, near

LINEAR = {"encoder.weight": "kd", "encoder.bias": "k", "decoder.weight": "dk"}
OPEN = {"W_enc": "dk", "b_enc": "k", "W_dec": "kd", "b_dec": "d"}
COUNTED = {"k": "", "threshold": ""}
AXES = {
    "AutoEncoder": LINEAR | {"bias": "d"},
    "AutoEncoderNew": LINEAR | {"decoder.bias": "d"},
    "AutoEncoderTopK": LINEAR | {"b_dec": "d"} | COUNTED,
    "BatchTopKSAE": LINEAR | {"b_dec": "d"} | COUNTED,
    "MatryoshkaBatchTopKSAE": OPEN | COUNTED | {"group_sizes": "g"},
    "JumpReluAutoEncoder": OPEN | {"threshold": "k"},
    "GatedAutoEncoder": {
        "encoder.weight": "kd", "decoder.weight": "dk", "decoder_bias": "d",
        "r_mag": "k", "gate_bias": "k", "mag_bias": "k",
    },
}  # fmt: skip
"""What each class holds, and the axes it lies in."""


class Parts(NamedTuple):
    """What `assembled` takes."""

    main: tuple[Tensor, Tensor, Tensor, Tensor]
    learner: Any
    parameter: Named
    buffer: Named


def read_dictionary_learning(
    weights: Named, record: dict[str, Any], kind: str | None, dense: bool, name: str
) -> SparseAutoencoder:
    """A dictionary of dictionary_learning, with its rule."""
    kind = kind or (record.get("trainer") or {}).get("dict_class") or guessed(weights)
    if kind not in AXES:
        raise BadInput(
            f"dictionary_learning has no {kind!r}.{near(str(kind), AXES)} Known: {', '.join(AXES)}."
        )
    held = laid(weights, AXES[kind], kind, "threshold" if "k" in AXES[kind] else "")
    parts = READERS[kind](held)
    if dense:
        if "threshold" not in AXES[kind]:
            raise BadInput(f"only a dictionary with a threshold is read densely; this is a {kind}.")
        parts = Parts(parts.main, ReLUL1(len(parts.main[0])), {}, {})
    return assembled(*parts[:2], name, *parts[2:])


def guessed(weights: Named) -> str:
    """The class that has exactly these names."""
    fit = [kind for kind, axes in AXES.items() if set(axes) == set(weights)]
    if len(fit) > 1:
        raise BadInput(
            f"{' and '.join(fit)} hold the same names, and there is no config.json that tells "
            f"them apart. Say which it is by kind={fit[-1]!r}."
        )
    if not fit:
        raise Refused(
            f"no class of dictionary_learning holds {', '.join(sorted(weights))}. Say what it is "
            "by `layout` and `kind`."
        )
    return fit[0]


def plain(held: Named) -> Parts:
    """AutoEncoder, as its package opens it: with atoms of unit length."""
    length = held["decoder.weight"].norm(dim=1)
    encoder, offset = held["encoder.weight"] * length[:, None], held["encoder.bias"] * length
    atoms = held["decoder.weight"] / length.clamp(min=1e-12)[:, None]
    return Parts((encoder, offset, atoms, held["bias"]), ReLUL1(len(atoms)), {}, {})


def uncentred(held: Named) -> Parts:
    """AutoEncoderNew: x as it is, b added to what is written."""
    encoder, atoms, bias = held["encoder.weight"], held["decoder.weight"], held["decoder.bias"]
    offset = moved(encoder, held["encoder.bias"], bias)
    return Parts((encoder, offset, atoms, bias), ReLUL1(len(atoms), decoder_norm="priced"), {}, {})


def largest(held: Named) -> Parts:
    """AutoEncoderTopK."""
    main = _linear(held)
    return Parts(main, TopK(len(main[0]), whole(held["k"], "k", "AutoEncoderTopK")), {}, {})


def batched(held: Named) -> Parts:
    """BatchTopKSAE."""
    main = _linear(held)
    learner = BatchTopK(len(main[0]), whole(held["k"], "k", "BatchTopKSAE"))
    return Parts(main, learner, {}, {"threshold": _threshold(held)})


def nested(held: Named) -> Parts:
    """MatryoshkaBatchTopKSAE, whose package divides by the groups twice."""
    main, sizes = _open(held), tuple(int(size) for size in held["group_sizes"])
    most = whole(held["k"], "k", "MatryoshkaBatchTopKSAE")
    learner = MatryoshkaBatchTopK(len(main[0]), most, sizes, published_double=True)
    return Parts(main, learner, {}, {"threshold": _threshold(held)})


def jumping(held: Named) -> Parts:
    """JumpReluAutoEncoder: x as it is."""
    encoder, offset, atoms, bias = _open(held)
    threshold = held["threshold"].clamp(min=torch.finfo(torch.float32).tiny)
    main = (encoder, moved(encoder, offset, bias), atoms, bias)
    return Parts(main, JumpReLU(len(atoms)), {"log_threshold": threshold.log()}, {})


def gated(held: Named) -> Parts:
    """GatedAutoEncoder."""
    main = (
        held["encoder.weight"], held["gate_bias"], held["decoder.weight"], held["decoder_bias"],
    )  # fmt: skip
    gains = {"log_gain": held["r_mag"], "floor": held["mag_bias"]}
    return Parts(main, Gated(len(main[0])), gains, {})


def _linear(held: Named) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return held["encoder.weight"], held["encoder.bias"], held["decoder.weight"], held["b_dec"]


def _open(held: Named) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return held["W_enc"], held["b_enc"], held["W_dec"], held["b_dec"]


def _threshold(held: Named) -> Tensor:
    """What keeps the same units: all above 0 where none was set."""
    return held.get("threshold", torch.zeros(())).clamp(min=0)


READERS: dict[str, Callable[[Named], Parts]] = {
    "AutoEncoder": plain, "AutoEncoderNew": uncentred, "AutoEncoderTopK": largest,
    "BatchTopKSAE": batched, "MatryoshkaBatchTopKSAE": nested, "JumpReluAutoEncoder": jumping,
    "GatedAutoEncoder": gated,
}  # fmt: skip
