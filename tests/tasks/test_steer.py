import pytest
import torch
from torch.nn.functional import normalize

from legenda.core.codes import Codes
from legenda.core.model import Embedded, Run
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.intervene.edits import steer
from legenda.models.dense import pooled
from legenda.tasks.steer import steered, told

K = 5


class World:
    """A picture is its activations; a sentence is one axis."""

    name, ref, grid = "world", "world", (2, 2)

    def acts(self, x):
        return x.flatten(2).mT[..., :K] + 0.3

    def run(self, x, edit=None):
        acts = self.acts(x)
        acts = acts if edit is None else edit(acts)
        return Run(acts, lambda: pooled(acts))

    def prefix(self, x):
        return Embedded(self.acts(x), pooled)

    def embed_text(self, texts):
        return torch.eye(K)[[int(t) for t in texts]]


class Book:
    name = "book"
    atoms = normalize(torch.eye(K) + 0.1, dim=1)

    def encode(self, acts):
        weight, index = (acts @ self.atoms.T).relu().topk(3)
        return Codes(index, weight, K)

    def decode(self, codes):
        return codes.dense() @ self.atoms


UNITS = Units(World(), Book())
X = torch.rand(2, K, 2, 2, generator=torch.Generator().manual_seed(0))


def test_steering_a_concept_moves_its_sentence_and_random_ways_do_not():
    found = steered(UNITS, X, [steer(2, 4.0)], ["2", "0"])
    assert (found.change[:, 0] > 0.2).all() and (found.change[:, 1] < 0).all()
    assert (found.after[:, 0] > found.random[..., 0].amax(0)).all()


def test_the_change_is_the_literal_difference():
    found = steered(UNITS, X, [steer(2, 4.0)], ["0", "1", "2"])
    acts = UNITS.model.acts(X) + 4.0 * Book.atoms[2]
    wanted = normalize(acts.mean(1), dim=-1)[:, :3] - normalize(UNITS.model.acts(X).mean(1), dim=-1)[:, :3]  # fmt: skip # noqa: E501
    torch.testing.assert_close(found.change, wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.delta, (4 * Book.atoms[2]).expand(2, 4, K), atol=1e-5, rtol=0)


@pytest.mark.parametrize("edits", [[], [steer(2, 0.0)], [lambda codes: codes]])
def test_no_change_leaves_every_bit(edits):
    found = steered(UNITS, X, edits, ["0", "1"])
    assert torch.equal(found.before, found.after) and not found.delta.any()
    assert torch.equal(found.random[0], found.before)


def test_same_seed_same_bits():
    one, two = (steered(UNITS, X, [steer(1, 1.0)], ["0"], seed=3) for _ in range(2))
    assert torch.equal(one.random, two.random)


WORDS = {"wheel": 1, "sail": 3, "T-shirt": 4}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("wheel+3", [3.0, 4.0, 5.0]),
        ("1-0.5", [3.0, 0.5, 5.0]),
        ("Wheel=2", [3.0, 2.0, 5.0]),
        ("wheel:off", [3.0, 0.0, 5.0]),
        ("wheel>2", [3.0, 0.0, 6.0]),
    ],
)
def test_changes_as_they_are_typed(text, wanted):
    codes = Codes(torch.arange(3)[None, None], torch.tensor([[[3.0, 1.0, 5.0]]]), K)
    dense = told(text, WORDS, K)(codes).dense()[0, 0]
    assert dense[:3].tolist() == wanted


def test_refusals():
    with pytest.raises(BadInput, match="there is no concept 'whel', which is neither a name nor a number below 5. Did you mean 'wheel'?"):  # fmt: skip # noqa: E501
        told("whel+3", WORDS, K)
    with pytest.raises(BadInput, match="'wheel=much' needs a finite number at its end; it got 'much'."):  # fmt: skip # noqa: E501
        told("wheel=much", WORDS, K)
    with pytest.raises(BadInput, match="a change is written wheel"):
        told("wheel", WORDS, K)
    with pytest.raises(BadInput, match="there is no concept '9'"):
        told("9=1", WORDS, K)
