import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from legenda.dictionaries.batch_top_k import BatchTopK
from legenda.dictionaries.gated import Gated
from legenda.dictionaries.jump_relu import JumpReLU
from legenda.dictionaries.layouts import read_foreign, write_saelens
from legenda.dictionaries.matching_pursuit import MatchingPursuit
from legenda.dictionaries.matryoshka import MatryoshkaBatchTopK
from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.dictionaries.storage import About, open_dictionary, save_dictionary
from legenda.dictionaries.top_k import TopK
from legenda.errors import BadInput, Missing, Refused, Unsupported
from tests.contracts import check_dictionary
from tests.dictionaries.parts import gaussian, lot_of

D, K = 6, 10


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=lot_of(seed))


X = draw(50, D, seed=99)


def largest(z, k):
    kept = z.topk(k, dim=1)
    return torch.zeros_like(z).scatter(1, kept.indices, kept.values)


def agrees(dictionary, codes, written):
    """Our codes and what we write are the package's."""
    check_dictionary(dictionary, X.view(5, 10, D))
    ours = dictionary.encode(X[None])
    assert (codes != 0).any() and (codes == 0).any()
    assert torch.allclose(ours.dense()[0], codes, atol=2e-5)
    assert torch.allclose(dictionary.decode(ours)[0], written, atol=5e-5)


# ------------------------------------------------------------------ SAELens


def saelens(folder, architecture, seed=0, **settings):
    """A folder as SAELens writes it, and the codes and the output that it gives for X."""
    w = {
        "W_enc": draw(D, K, seed=seed), "W_dec": draw(K, D, seed=seed + 1),
        "b_dec": draw(D, seed=seed + 2),
    }  # fmt: skip
    centred = X - w["b_dec"] if settings.get("apply_b_dec_to_input", True) else X
    h = centred @ w["W_enc"]
    if architecture == "gated":
        w |= {n: draw(K, seed=seed + 3 + i) for i, n in enumerate(("b_gate", "r_mag", "b_mag"))}
        z = ((h + w["b_gate"]) > 0) * (
            centred @ (w["W_enc"] * w["r_mag"].exp()) + w["b_mag"]
        ).relu()
    else:
        w["b_enc"] = draw(K, seed=seed + 3)
        h = h + w["b_enc"]
        z = h.relu()
    if architecture == "topk":
        if settings.get("rescale_acts_by_decoder_norm"):
            h = h * w["W_dec"].norm(dim=1)
        z = largest(h, settings["k"]).relu()
    if architecture == "jumprelu":
        w["threshold"] = draw(K, seed=seed + 4).abs()
        w["threshold"][0] = 0.0
        z = h.relu() * (h > w["threshold"])
    v = z
    if settings.get("rescale_acts_by_decoder_norm"):
        v = z / w["W_dec"].norm(dim=1)
    record = {
        "architecture": architecture, "d_in": D, "d_sae": K, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none", "metadata": {"sae_lens_version": "6.18.0"}, **settings,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    save_file(w, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(record))
    return z, v @ w["W_dec"] + w["b_dec"]


SAELENS = [
    ("standard", {}, ReLUL1),
    ("standard", {"apply_b_dec_to_input": False}, ReLUL1),
    ("topk", {"k": 3}, TopK),
    ("topk", {"k": 3, "rescale_acts_by_decoder_norm": True}, TopK),
    ("jumprelu", {}, JumpReLU),
    ("jumprelu", {"apply_b_dec_to_input": False}, JumpReLU),
    ("gated", {}, Gated),
    ("gated", {"apply_b_dec_to_input": False}, Gated),
]


@pytest.mark.parametrize(("architecture", "settings", "learner"), SAELENS)
def test_saelens_gives_the_codes_of_its_own_formula(architecture, settings, learner, tmp_path):
    codes, written = saelens(tmp_path, architecture, **settings)
    opened = read_foreign(tmp_path)
    assert type(opened.learner) is learner and opened.name == "saelens"
    agrees(opened, codes, written)
    again = read_foreign(tmp_path / "sae_weights.safetensors", "saelens", name="x")
    assert again.name == "x" and torch.equal(again.atoms, opened.atoms)


@pytest.mark.parametrize(("architecture", "settings", "learner"), SAELENS)
def test_saelens_survives_being_written_by_us(architecture, settings, learner, tmp_path):
    codes, written = saelens(tmp_path / "theirs", architecture, **settings)
    write_saelens(tmp_path / "ours", read_foreign(tmp_path / "theirs"), About("vit", "blocks.3"))
    record = json.loads((tmp_path / "ours" / "cfg.json").read_text())
    assert record["architecture"] == architecture and (record["d_in"], record["d_sae"]) == (D, K)
    assert (
        record["metadata"]["model_name"] == "vit" and record["metadata"]["hook_name"] == "blocks.3"
    )
    agrees(read_foreign(tmp_path / "ours"), codes, written)


def test_a_batch_topk_is_written_as_a_jumprelu_of_one_threshold(tmp_path):
    for learner in (BatchTopK(K, 2), MatryoshkaBatchTopK(K, 2, (4, 6))):
        module = learner.begin(gaussian(60, D), 0)
        with torch.no_grad():
            module.threshold.fill_(0.4)
        write_saelens(tmp_path, module)
        held = load_file(tmp_path / "sae_weights.safetensors")
        assert set(held) == {"W_enc", "b_enc", "W_dec", "b_dec", "threshold"}
        assert held["W_enc"].shape == (D, K) and held["W_dec"].shape == (K, D)
        assert torch.allclose(held["threshold"], torch.full((K,), 0.4))
        ours = module.encode(X[None])
        agrees(read_foreign(tmp_path), ours.dense()[0], module.decode(ours)[0])


def test_a_batch_topk_kept_in_the_middle_of_training_is_read(tmp_path):
    saelens(tmp_path, "standard")
    path = tmp_path / "sae_weights.safetensors"
    w = load_file(path) | {"topk_threshold": torch.tensor(0.8, dtype=torch.float64)}
    save_file(w, path)
    record = json.loads((tmp_path / "cfg.json").read_text())
    record |= {"architecture": "batchtopk", "k": 2.4}
    (tmp_path / "cfg.json").write_text(json.dumps(record))
    opened = read_foreign(tmp_path)
    assert opened.learner == BatchTopK(K, 2)
    length = w["W_dec"].norm(dim=1)
    h = ((X - w["b_dec"]) @ w["W_enc"] + w["b_enc"]) * length
    z = h.relu() * (h > 0.8)
    agrees(opened, z, z / length @ w["W_dec"] + w["b_dec"])


def test_a_record_from_before_version_6_is_read(tmp_path):
    codes, written = saelens(tmp_path, "topk", k=3)
    record = {"d_in": D, "d_sae": K, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}
    (tmp_path / "cfg.json").write_text(json.dumps(record))
    path = tmp_path / "sae_weights.safetensors"
    save_file(load_file(path) | {"scaling_factor": torch.ones(K)}, path)
    agrees(read_foreign(tmp_path), codes, written)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"normalize_activations": "layer_norm"},
            "this SAELens dictionary reads activations normalised by layer_norm; a dictionary of "
            "legenda reads them as they are. If that is a factor, fold it in with "
            "`fold_activation_norm_scaling_factor`.",
        ),
        (
            {"architecture": "transcoder"},
            "SAELens's transcoder with relu has no counterpart in legenda, which reads standard, "
            "topk, jumprelu, gated, batchtopk, matryoshka_batchtopk. Export one of these.",
        ),
        (
            {"architecture": "jumprelu"},
            "the file of a jumprelu of SAELens lacks threshold. Say what it is by `kind`, or "
            "export it again.",
        ),
        (
            {"architecture": "gated"},
            "the file of a gated of SAELens lacks b_gate, r_mag, b_mag and holds b_enc, which it "
            "does not have. Say what it is by `kind`, or export it again.",
        ),
    ],
)
def test_what_saelens_has_and_we_have_not(settings, message, tmp_path):
    saelens(tmp_path, "standard")
    record = json.loads((tmp_path / "cfg.json").read_text()) | settings
    (tmp_path / "cfg.json").write_text(json.dumps(record))
    with pytest.raises(Refused, match=f"^{re.escape(message)}$"):
        read_foreign(tmp_path)


def test_matching_pursuit_is_not_written(tmp_path):
    module = MatchingPursuit(K, 2).begin(gaussian(60, D), 0)
    message = (
        "SAELens needs a rule that it has, of a threshold, a gate or the k largest; "
        "MatchingPursuit has none. Keep it with `save_dictionary`."
    )
    with pytest.raises(Unsupported, match=f"^{re.escape(message)}$"):
        write_saelens(tmp_path, module)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------- dictionary_learning


def linear(bias="b_dec"):
    return {
        "encoder.weight": draw(K, D), "encoder.bias": draw(K, seed=1),
        "decoder.weight": draw(D, K, seed=2), bias: draw(D, seed=3),
    }  # fmt: skip


def wide():
    return {
        "W_enc": draw(D, K), "b_enc": draw(K, seed=1), "W_dec": draw(K, D, seed=2),
        "b_dec": draw(D, seed=3),
    }  # fmt: skip


def counted(threshold):
    return {"k": torch.tensor(3, dtype=torch.int), "threshold": torch.tensor(threshold)}


def dictionary_learning(kind):
    """A state dict of that class, and the codes and the output that its `encode` gives for X."""
    if kind == "AutoEncoder":  # which `from_pretrained` brings to unit length
        w = linear("bias")
        length = w["decoder.weight"].norm(dim=0)
        h = (X - w["bias"]) @ (w["encoder.weight"] * length[:, None]).T + w["encoder.bias"] * length
        return w, h.relu(), h.relu() @ (w["decoder.weight"] / length).T + w["bias"]
    if kind == "AutoEncoderNew":
        w = linear("decoder.bias")
        z = (X @ w["encoder.weight"].T + w["encoder.bias"]).relu()
        return w, z, z @ w["decoder.weight"].T + w["decoder.bias"]
    if kind in ("AutoEncoderTopK", "BatchTopKSAE"):
        w = linear() | counted(0.9)
        h = ((X - w["b_dec"]) @ w["encoder.weight"].T + w["encoder.bias"]).relu()
        z = largest(h, 3) if kind == "AutoEncoderTopK" else h * (h > w["threshold"])
        return w, z, z @ w["decoder.weight"].T + w["b_dec"]
    if kind == "MatryoshkaBatchTopKSAE":
        w = wide() | counted(0.9) | {"group_sizes": torch.tensor([4, 6])}
        h = ((X - w["b_dec"]) @ w["W_enc"] + w["b_enc"]).relu()
        z = h * (h > w["threshold"])
    elif kind == "JumpReluAutoEncoder":
        w = wide() | {"threshold": draw(K, seed=5).abs()}
        h = X @ w["W_enc"] + w["b_enc"]
        z = (h * (h > w["threshold"])).relu()
    else:
        w = linear("decoder_bias")
        w.pop("encoder.bias")
        w |= {n: draw(K, seed=6 + i) for i, n in enumerate(("r_mag", "gate_bias", "mag_bias"))}
        h = (X - w["decoder_bias"]) @ w["encoder.weight"].T
        z = (h + w["gate_bias"] > 0) * (w["r_mag"].exp() * h + w["mag_bias"]).relu()
        return w, z, z @ w["decoder.weight"].T + w["decoder_bias"]
    return w, z, z @ w["W_dec"] + w["b_dec"]


DICTIONARY_LEARNING = {
    "AutoEncoder": ReLUL1(K), "AutoEncoderNew": ReLUL1(K, decoder_norm="priced"),
    "AutoEncoderTopK": TopK(K, 3), "BatchTopKSAE": BatchTopK(K, 3),
    "MatryoshkaBatchTopKSAE": MatryoshkaBatchTopK(K, 3, (4, 6), published_double=True),
    "JumpReluAutoEncoder": JumpReLU(K), "GatedAutoEncoder": Gated(K),
}  # fmt: skip


@pytest.mark.parametrize("kind", DICTIONARY_LEARNING)
@pytest.mark.parametrize("said", ["record", "argument", "names"])
def test_dictionary_learning_gives_the_codes_of_its_own_formula(kind, said, tmp_path):
    weights, codes, written = dictionary_learning(kind)
    torch.save(weights, tmp_path / "ae.pt")
    if said == "record":
        (tmp_path / "config.json").write_text(json.dumps({"trainer": {"dict_class": kind}}))
    if said == "names" and kind in ("AutoEncoderTopK", "BatchTopKSAE"):
        message = (
            "AutoEncoderTopK and BatchTopKSAE hold the same names, and there is no config.json "
            "that tells them apart. Say which it is by kind='BatchTopKSAE'."
        )
        with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
            read_foreign(tmp_path)
        return
    opened = read_foreign(tmp_path, kind=kind if said == "argument" else None)
    assert opened.learner == DICTIONARY_LEARNING[kind] and opened.name == "dictionary_learning"
    agrees(opened, codes, written)


def test_a_threshold_that_was_never_set_keeps_all_above_zero(tmp_path):
    weights, _, _ = dictionary_learning("MatryoshkaBatchTopKSAE")
    weights["threshold"] = torch.tensor(-1.0)
    torch.save(weights, tmp_path / "ae.pt")
    h = ((X - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]).relu()
    agrees(read_foreign(tmp_path), h, h @ weights["W_dec"] + weights["b_dec"])


def test_cfm_reads_concepts_with_the_threshold_and_densely_without(tmp_path):
    weights, codes, written = dictionary_learning("MatryoshkaBatchTopKSAE")
    path = tmp_path / "cfm.pt"
    torch.save({"state_dict": weights, "step": 3}, path)
    agrees(read_foreign(path, "cfm"), codes, written)
    dense = read_foreign(path, "cfm", dense=True)
    h = ((X - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]).relu()
    assert isinstance(dense.learner, ReLUL1) and dense.name == "cfm"
    agrees(dense, h, h @ weights["W_dec"] + weights["b_dec"])
    save_file(weights, tmp_path / "cfm.safetensors")
    agrees(read_foreign(tmp_path / "cfm.safetensors", "cfm"), codes, written)


# --------------------------------------------------------------- overcomplete

ENCODER = "encoder.final_block.0."


def overcomplete(kind):
    """A state dict of that class, and the codes and the output that it gives for X."""
    v = 3 * draw(K, D, seed=2)
    w = {"dictionary._weights": v, "dictionary.multiplier": torch.tensor(0.0)}
    atoms = v / (v.norm(dim=1, keepdim=True) + 1e-8)
    if kind.startswith("RA"):
        c, mix, detour = draw(15, D, seed=7), draw(K, 15, seed=8), draw(K, D, seed=9)
        w = {
            "dictionary.C": c, "dictionary.W": mix, "dictionary.Relax": detour,
            "dictionary.multiplier": torch.tensor(0.5),
        }  # fmt: skip
        mix = mix.relu() / (mix.relu().sum(1, keepdim=True) + 1e-8)
        atoms = (mix @ c + detour / detour.norm(dim=1, keepdim=True).clamp(min=1)) * 0.5**0
        atoms = atoms * torch.tensor(0.5).exp()
    if kind == "MpSAE":
        residual, z = X.clone(), torch.zeros(len(X), K)
        for _ in range(6):  # some units are found twice
            value, index = (residual @ atoms.T).max(1)
            step = torch.nn.functional.one_hot(index, K) * value[:, None]
            z, residual = z + step, residual - step @ atoms
        return w, z, z @ atoms
    w |= {ENCODER + "weight": draw(K, D), ENCODER + "bias": draw(K, seed=1)}
    z = (X @ w[ENCODER + "weight"].T + w[ENCODER + "bias"]).relu()
    if kind.endswith("JumpSAE"):
        w["thresholds"] = draw(K, seed=5)
        z = z * (z >= w["thresholds"].exp())
    elif kind == "BatchTopKSAE":
        z = z * (z >= edge(z))
    elif kind != "SAE":
        z = largest(z, 3)
    return w, z, z @ atoms


def edge(z):
    """The third largest code of the first row, which ≥ keeps and > would not."""
    return float(z[0].topk(3).values[-1])


OVERCOMPLETE = {
    "SAE": (ReLUL1, {"kind": "SAE"}), "TopKSAE": (TopK, {"k": 3}), "JumpSAE": (JumpReLU, {}),
    "MpSAE": (MatchingPursuit, {"k": 6}), "RATopKSAE": (TopK, {"k": 3}),
    "RAJumpSAE": (JumpReLU, {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", OVERCOMPLETE)
def test_overcomplete_gives_the_codes_of_its_own_formula(kind, tmp_path):
    weights, codes, written = overcomplete(kind)
    torch.save(weights, tmp_path / "sae.pth")
    learner, given = OVERCOMPLETE[kind]
    opened = read_foreign(tmp_path, **given)
    assert type(opened.learner) is learner and opened.name == "overcomplete"
    agrees(opened, codes, written)
    agrees(
        read_foreign(tmp_path / "sae.pth", "overcomplete", **{"kind": kind} | given), codes, written
    )


def test_a_batch_topk_of_overcomplete_keeps_who_is_at_the_threshold(tmp_path):
    weights, _, _ = overcomplete("SAE")
    torch.save(weights, tmp_path / "sae.pth")
    plain = read_foreign(tmp_path, kind="SAE")
    codes = plain.encode(X[None]).dense()[0]
    threshold = edge(codes)
    opened = read_foreign(tmp_path, threshold=threshold)
    assert isinstance(opened.learner, BatchTopK)
    kept = codes * (codes >= threshold)
    assert (kept[0] != 0).sum() == 3, "the one at the threshold is on"
    agrees(opened, kept, kept @ opened.atoms)


def test_a_normalisation_over_a_batch_is_folded_in(tmp_path):
    weights, _, _ = overcomplete("TopKSAE")
    norm = nn.BatchNorm1d(K)
    with torch.no_grad():
        for name, value in norm.state_dict().items():
            if value.ndim:
                value.copy_(draw(K, seed=len(name)).abs() + 0.1)
    weights |= {f"encoder.final_block.1.{n}": v for n, v in norm.state_dict().items()}
    torch.save(weights, tmp_path / "sae.pth")
    h = X @ weights[ENCODER + "weight"].T + weights[ENCODER + "bias"]
    z = largest(norm.eval()(h).relu().detach(), 3)
    atoms = nn.functional.normalize(weights["dictionary._weights"], dim=1)
    agrees(read_foreign(tmp_path, k=3), z, z @ atoms)


@pytest.mark.parametrize("tied", [True, False])
def test_encoders_that_are_or_were_tied_are_read(tied, tmp_path):
    weights, _, _ = overcomplete("TopKSAE")
    weights = {n: v for n, v in weights.items() if not n.startswith("encoder.")}
    atoms = nn.functional.normalize(weights["dictionary._weights"], dim=1)
    own, lift = (atoms, 0.0) if tied else (draw(K, D, seed=4), draw(K, seed=5))
    if tied:
        for name in ("_weights", "multiplier"):
            weights[f"encoder.tied_to.{name}"] = weights[f"dictionary.{name}"]
    else:
        weights |= {"encoder.weight": own, "encoder.bias": lift}
    torch.save(weights, tmp_path / "sae.pth")
    z = largest((X @ own.T + lift).relu(), 3)
    agrees(read_foreign(tmp_path, k=3), z, z @ atoms)


# -------------------------------------------------------------------- refusals


def test_what_is_read_can_be_kept_in_our_layout(tmp_path):
    weights, codes, written = dictionary_learning("MatryoshkaBatchTopKSAE")
    torch.save(weights, tmp_path / "ae.pt")
    kept = save_dictionary(tmp_path / "ours", read_foreign(tmp_path))
    agrees(open_dictionary(kept)[0], codes, written)
    saelens(tmp_path / "jump", "jumprelu")  # which has a threshold of 0
    open_dictionary(save_dictionary(tmp_path / "ours", read_foreign(tmp_path / "jump")))


def test_a_pickled_module_is_refused_and_not_run(tmp_path):
    class Trap(nn.Linear):
        def __reduce__(self):
            return (pytest.fail, ("the pickle ran",))

    path = tmp_path / "ae.pt"
    torch.save(Trap(2, 2), path)
    message = (
        f"{path} is damaged, or holds more than tensors, such as a pickled module, which could "
        "run anything when it is opened. Save its `state_dict()` where you trust it."
    )
    with pytest.raises(Refused, match=f"^{re.escape(message)}$"):
        read_foreign(path)
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(Refused, match=f"^{re.escape(message)}$"):
        read_foreign(path)
    path.write_bytes(b"PK" + bytes(30))
    with pytest.raises(Refused, match=f"^{re.escape(message)}$"):
        read_foreign(path)


def overwritten(change):
    weights, _, _ = dictionary_learning("MatryoshkaBatchTopKSAE")
    change(weights)
    return weights


KIND = "MatryoshkaBatchTopKSAE"
REFUSED = [
    (
        lambda w: w.update(extra=torch.ones(2)), {"kind": KIND}, Refused,
        f"the file of a {KIND} holds extra, which it does not have. Say what it is by `kind`, or "
        "export it again.",
    ),
    (
        lambda w: w.update(extra=torch.ones(2)), {}, Refused,
        "no class of dictionary_learning holds W_dec, W_enc, b_dec, b_enc, extra, group_sizes, k, "
        "threshold. Say what it is by `layout` and `kind`.",
    ),
    (
        lambda w: w.update(W_dec=torch.ones(K, D + 1)), {}, Refused,
        f"W_dec of a {KIND} has the shape (10, 7), which does not go with 10 units of width 6. "
        "Export it again.",
    ),
    (
        lambda w: w["b_enc"].fill_(torch.nan), {}, Refused,
        f"b_enc of a {KIND} holds numbers that are not finite. Export it again.",
    ),
    (
        lambda w: w.update(k=torch.tensor(0)), {}, BadInput,
        f"a {KIND} needs k, a whole number above 0, which its file does not say; it got 0.0. "
        "Give k.",
    ),
    (
        lambda w: None, {"kind": "MatryoshkaSAE"}, BadInput,
        f"dictionary_learning has no 'MatryoshkaSAE'. Did you mean {KIND!r}? Known: AutoEncoder, "
        "AutoEncoderNew, AutoEncoderTopK, BatchTopKSAE, MatryoshkaBatchTopKSAE, "
        "JumpReluAutoEncoder, GatedAutoEncoder.",
    ),
    (
        lambda w: None, {"layout": "saelen"}, BadInput,
        "there is no layout 'saelen'. Did you mean 'saelens'? Known: saelens, "
        "dictionary_learning, overcomplete, cfm.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "given", "error", "message"), REFUSED)
def test_what_it_refuses(change, given, error, message, tmp_path):
    torch.save(overwritten(change), tmp_path / "ae.pt")
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        read_foreign(tmp_path, **given)


def test_what_overcomplete_does_not_say_is_asked_for(tmp_path):
    weights, _, _ = overcomplete("TopKSAE")
    torch.save(weights, tmp_path / "sae.pth")
    for given, message in (
        (
            {},
            "a state dict of overcomplete does not say whether it is a SAE, a TopKSAE or a "
            "BatchTopKSAE. Give k=… of a TopKSAE, threshold=… of a BatchTopKSAE, or kind='SAE'.",
        ),
        (
            {"kind": "TopKSAE"},
            "a TopKSAE needs k, a whole number above 0, which its file does not say; it got None. "
            "Give k.",
        ),
        (
            {"kind": "BatchTopKSAE"},
            "a BatchTopKSAE needs threshold, its `running_threshold`, which its state dict does "
            "not hold. Give threshold.",
        ),
    ):
        with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
            read_foreign(tmp_path, **given)


def test_hidden_layers_of_an_encoder_are_refused_by_name(tmp_path):
    weights, _, _ = overcomplete("TopKSAE")
    torch.save(weights | {"encoder.mlp_blocks.0.0.weight": torch.ones(D, D)}, tmp_path / "sae.pth")
    with pytest.raises(Refused, match=r"TopKSAE holds encoder\.mlp_blocks\.0\.0\.weight, which"):
        read_foreign(tmp_path, k=3)


def test_files_that_are_not_there_or_too_many(tmp_path):
    with pytest.raises(Missing, match="is not there. Give the file of a dictionary, or its folder"):
        read_foreign(tmp_path / "nothing")
    with pytest.raises(BadInput, match="should hold one file of weights; it holds 0: none. Give"):
        read_foreign(tmp_path)
    for name in ("a.pt", "b.pth"):
        torch.save({}, tmp_path / name)
    with pytest.raises(BadInput, match=r"it holds 2: a\.pt, b\.pth\. Give the file\."):
        read_foreign(tmp_path)
    torch.save([1, 2], tmp_path / "ae.pt")
    with pytest.raises(Refused, match="holds a list, not a state dict. Save one."):
        read_foreign(tmp_path)
