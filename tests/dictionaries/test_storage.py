import json
import pickle
import re
from dataclasses import dataclass, replace
from math import isnan

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from legenda.dictionaries.archetypal import Archetypal
from legenda.dictionaries.batch_top_k import BatchTopK
from legenda.dictionaries.gated import Gated
from legenda.dictionaries.jump_relu import JumpReLU
from legenda.dictionaries.k_means import KMeans
from legenda.dictionaries.kinds import KINDS, found
from legenda.dictionaries.linear import LinearDictionary, NonNegative
from legenda.dictionaries.matching_pursuit import MatchingPursuit
from legenda.dictionaries.matryoshka import MatryoshkaBatchTopK
from legenda.dictionaries.nested_k import NestedK
from legenda.dictionaries.nmf import NMF
from legenda.dictionaries.pca import PCA
from legenda.dictionaries.random_atoms import Axes, RandomAtoms
from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.dictionaries.semi_nmf import SemiNMF
from legenda.dictionaries.storage import FILE, About, digest_of, open_dictionary, save_dictionary
from legenda.dictionaries.top_k import TopK
from legenda.dictionaries.variational import Variational
from legenda.errors import BadInput, Missing, Refused
from tests.dictionaries.parts import gaussian

LEARNERS = [
    ReLUL1(12), TopK(12, 3), BatchTopK(12, 3), MatryoshkaBatchTopK(12, 3, (4, 8)), JumpReLU(12),
    Gated(12), NestedK(12, (2, 4)), MatchingPursuit(12, 3), Archetypal(12, 3, 0.1, 16),
    Variational(12, 3, sigma=None),
]  # fmt: skip
CLASSICAL = [
    PCA(4), PCA(4, signed=False), KMeans(4, "cosine"), NMF(4), SemiNMF(4, 0.5, (2,), steps=5),
    RandomAtoms(6, 2), Axes(2),
]  # fmt: skip
ABOUT = About("zoo:photos", "patches", "0123abcd", 300, {"fvu": 0.25, "dead": float("nan")})


def fitted(learner):
    rows = gaussian().abs()
    if not hasattr(learner, "begin"):
        return learner.fit(rows)
    module = learner.begin(rows, 0)
    with torch.no_grad():
        for value in module.parameters():
            value += 0.01 * torch.randn(value.shape)
        if hasattr(module, "threshold"):
            module.threshold.fill_(0.7)
    return module


def tensors(dictionary):
    if isinstance(dictionary, LinearDictionary):
        return {"atoms": dictionary.atoms, "bias": dictionary.bias} | dict(
            enumerate(dictionary.parents)
        )
    return dictionary.state_dict()


@pytest.mark.parametrize("learner", LEARNERS + CLASSICAL, ids=repr)
def test_it_comes_back_to_the_last_bit(learner, tmp_path):
    kept, acts = fitted(learner), gaussian(20, seed=4)[None]
    path = save_dictionary(tmp_path, kept, ABOUT)
    opened, about = open_dictionary(path, width=10)
    assert path == tmp_path / FILE and open_dictionary(tmp_path)[1].site == about.site
    assert type(opened) is type(kept) and opened.learner == learner
    assert opened.name == kept.name and repr(opened) == repr(kept)
    before, after = tensors(kept), tensors(opened)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]) and value.dtype == after[name].dtype
    was, now = kept.encode(acts), opened.encode(acts)
    assert torch.equal(was.index, now.index) and torch.equal(was.weight, now.weight)
    assert torch.equal(kept.decode(was), opened.decode(now))
    assert replace(about, figures={}) == replace(ABOUT, figures={})
    assert about.figures["fvu"] == 0.25 and isnan(about.figures["dead"])


def test_parameters_are_learned_on_and_buffers_are_not(tmp_path):
    kept = fitted(JumpReLU(12))
    opened, _ = open_dictionary(save_dictionary(tmp_path, kept))
    assert [n for n, _ in opened.named_parameters()] == [n for n, _ in kept.named_parameters()]
    assert [n for n, _ in opened.named_buffers()] == [n for n, _ in kept.named_buffers()]


def test_the_table_names_everything_there_is():
    for kind in KINDS:
        assert found(kind).__name__ == kind
    assert {type(x).__name__ for x in LEARNERS + CLASSICAL} <= set(KINDS)


def test_half_takes_half_the_room_and_changes_little(tmp_path):
    kept = fitted(BatchTopK(64, 3))
    whole = save_dictionary(tmp_path / "whole", kept)
    half = save_dictionary(tmp_path / "half", kept, half=True)
    assert half.stat().st_size < 0.75 * whole.stat().st_size
    opened, _ = open_dictionary(half)
    assert opened.decoder.dtype == torch.float32
    assert torch.allclose(opened.decoder, kept.decoder, atol=1e-3)
    assert not torch.equal(opened.decoder, kept.decoder)
    assert torch.equal(opened.threshold, kept.threshold), "a threshold is kept whole"


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = save_dictionary(tmp_path, fitted(PCA(4)))
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("legenda.train.loop.save_file", full)
    with pytest.raises(Missing, match="no space left"):
        save_dictionary(tmp_path, fitted(PCA(6)))
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [FILE]


def test_any_changed_byte_is_seen(tmp_path):
    path = save_dictionary(tmp_path, fitted(PCA(2)))
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(Refused):
            open_dictionary(path)
    path.write_bytes(data[:-3])
    with pytest.raises(Refused, match="is no safetensors file, or a damaged one"):
        open_dictionary(path)


def forged(path, change):
    """Write a file again, changed, with the seal of what it now holds."""
    with safe_open(path, "pt") as file:
        held = {n: file.get_tensor(n) for n in file.keys()}
        record = json.loads(file.metadata()["legenda"])
    change(record, held)
    text = json.dumps(record)
    save_file(held, path, {"legenda": text, "sha256": digest_of(text, held)})


def without(name):
    return lambda record, held: held.pop(name)


def put(*keys, to):
    def change(record, held):
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = to

    return change


def swapped(name, to):
    return lambda record, held: held.update({name: to})


def renamed(record, held):
    record["learner"]["fields"]["zeal"] = 3


DESCRIBES = "{path} does not describe a dictionary that legenda can open: "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put("format", to=2),
            "{path} has the format 2; this legenda reads 1. Update legenda, or save it again.",
        ),
        (without("parameter/offset"), DESCRIBES + "('parameter', 'offset'). Save it again."),
        (
            without("buffer/threshold"),
            DESCRIBES + "SparseAutoencoder has no attribute `threshold`. Save it again.",
        ),
        (
            swapped("parameter/bias", torch.zeros(9)),
            DESCRIBES + "its decoder is 12 × 10 and its bias (9,), while its learner is "
            "BatchTopK(units=12, k=3, revive=Revival(weight=0.03125, after=10000000, most=256), "
            "memory=0.999, start=1000, half=None). Save it again.",
        ),
        (put("width", to=11), DESCRIBES + "its atoms are 12 × 10. Save it again."),
        (put("learner", "fields", "units", to=11), DESCRIBES + "its decoder is 12 × 10"),
        (put("learner", "fields", "k", to=99), DESCRIBES + "1 validation error"),
        (put("learner", "fields", "k", to="3"), DESCRIBES + "1 validation error"),
        (put("learner", "fields", "revive", to=[1]), DESCRIBES + "1 validation error"),
        (
            put("learner", "kind", to="TopKK"),
            "there is no learner or rule of the kind 'TopKK'. Did you mean 'TopK' or 'BatchTopK'? "
            "Known: ",
        ),
        (put("learner", "kind", to="os.system"), "there is no learner or rule of the kind"),
        (
            renamed,
            "BatchTopK has no setting zeal. Update legenda, or save it again.",
        ),
        (put("about", to=[]), DESCRIBES),
    ],
)
def test_what_it_refuses_to_open(change, message, tmp_path):
    path = save_dictionary(tmp_path, fitted(BatchTopK(12, 3)))
    forged(path, lambda record, held: None)
    open_dictionary(path)
    forged(path, change)
    with pytest.raises(Refused) as caught:
        open_dictionary(path)
    assert str(caught.value).startswith(message.format(path=path))
    assert message.endswith(("again.", "Known: ", ": ", "12 × 10", "error", "kind"))


def test_a_rule_alone_is_kept_too(tmp_path):
    kept = LinearDictionary(torch.eye(3), torch.zeros(3), NonNegative(), "mine")
    opened, _ = open_dictionary(save_dictionary(tmp_path, kept))
    assert opened.learner is None and opened.rule == NonNegative() and opened.name == "mine"


def test_another_width_is_refused(tmp_path):
    path = save_dictionary(tmp_path, fitted(PCA(4)))
    message = (
        f"{path} holds atoms of width 10; the activations have width 12. Use a dictionary that "
        "was fitted at this site."
    )
    with pytest.raises(Refused, match=f"^{re.escape(message)}$"):
        open_dictionary(path, width=12)


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / FILE
    with pytest.raises(Missing, match="is not there. Give the folder of a dictionary, or fit one."):
        open_dictionary(tmp_path)
    save_file({"W_enc": torch.ones(2)}, path)
    with pytest.raises(Refused, match="was not written by legenda. Open it with `read_foreign`"):
        open_dictionary(path)


def test_pickles_are_refused_unread(tmp_path):
    path = tmp_path / FILE

    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle ran",))

    for data in (pickle.dumps(Trap()), b"PK\x03\x04" + bytes(64)):
        path.write_bytes(data)
        with pytest.raises(Refused, match=r"Copy it again; legenda opens no pickles\.$"):
            open_dictionary(path)


def test_what_is_not_finite_is_not_kept(tmp_path):
    kept = fitted(PCA(4))
    kept.atoms[0, 0] = 1e6
    message = "pca holds numbers that are not finite in 16 bits, in atoms. Save it in full."
    with pytest.raises(Refused, match=f"^{re.escape(message)}$"):
        save_dictionary(tmp_path, kept, half=True)
    kept.atoms[0, 0] = torch.inf
    with pytest.raises(Refused, match=r"not finite, in atoms\. Fit it again\.$"):
        save_dictionary(tmp_path, kept)
    assert not list(tmp_path.iterdir())


def test_a_learner_of_somebody_else_is_not_kept(tmp_path):
    @dataclass(frozen=True)
    class TopK:
        units: int = 12

    module = fitted(ReLUL1(12))
    module.learner = TopK()
    with pytest.raises(BadInput, match=r"its learner is a TopK\. Keep its numbers yourself\.$"):
        save_dictionary(tmp_path, module)
