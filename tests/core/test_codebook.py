import pytest
import torch

from legenda.core import codebook as module
from legenda.core.codebook import Codebook
from legenda.core.codes import Codes
from legenda.errors import BadInput, ShapeError
from tests.contracts import check_dictionary


def entries(k=7, d=4, seed=0):
    return torch.randn(k, d, generator=torch.Generator().manual_seed(seed))


def acts(b=3, n=5, d=4, seed=1):
    return torch.randn(b, n, d, generator=torch.Generator().manual_seed(seed))


def test_it_keeps_the_contract_of_a_dictionary():
    check_dictionary(Codebook(entries()), acts())


def test_nearest_is_the_literal_double_loop(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 20)  # two rows at a time
    book, given = Codebook(entries()), acts()
    index, distance = book.nearest(given)
    for b in range(3):
        for n in range(5):
            gaps = [float((given[b, n] - atom).norm()) for atom in book.atoms]
            assert int(index[b, n]) == gaps.index(min(gaps))
            assert float(distance[b, n]) == pytest.approx(min(gaps), rel=1e-5)


def test_a_tie_goes_to_the_lowest_number():
    book = Codebook(torch.tensor([[1.0], [-1.0], [1.0]]))
    assert book.nearest(torch.tensor([[[0.0], [2.0]]]))[0].tolist() == [[0, 0]]


def test_an_entry_is_its_own_nearest_and_decodes_to_itself():
    book = Codebook(entries())
    tokens = torch.arange(7)[None]
    given = book.embed(tokens)
    assert torch.equal(book.encode(given).index[..., 0], tokens)
    assert torch.equal(book.decode(book.encode(given)), given)


def test_half_an_entry_is_half_of_it():
    book = Codebook(entries())
    codes = Codes(torch.tensor([[[2, 5]]]), torch.tensor([[[0.5, 2.0]]]), 7)
    assert torch.allclose(book.decode(codes)[0, 0], 0.5 * book.atoms[2] + 2 * book.atoms[5])


def test_soft_shares_sharpen_to_the_nearest():
    book, given = Codebook(entries()), acts()
    warm, cold = book.soft(given, 1.0), book.soft(given, 1e-3)
    assert torch.allclose(warm.sum(-1), torch.ones(3, 5))
    gaps = (given[:, :, None] - book.atoms).square().sum(-1)
    assert torch.allclose(warm, (-gaps).softmax(-1), atol=1e-5)
    assert torch.equal(cold.argmax(-1), book.nearest(given)[0])
    assert cold.amax(-1).min() > 0.99


def test_neighbours_leave_out_the_entry_itself(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 20)
    book = Codebook(entries())
    found = book.neighbours(2)
    gaps = torch.cdist(book.atoms, book.atoms) + torch.eye(7) * 1e9
    assert torch.equal(found, gaps.topk(2, largest=False).indices)


def test_float64_stays_float64():
    book = Codebook(entries().double())
    assert book.decode(book.encode(acts().double())).dtype == torch.float64


def test_its_repr_tells_one_from_another():
    assert repr(Codebook(entries())) == repr(Codebook(entries()))
    assert repr(Codebook(entries())) != repr(Codebook(entries(seed=3)))


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (
            lambda: Codebook(torch.zeros(0, 3)),
            ShapeError,
            "Codebook needs entries as rows (k d); it got the shape (0, 3).",
        ),
        (
            lambda: Codebook(torch.tensor([[1.0], [torch.nan]])),
            BadInput,
            "Codebook needs finite entries; 1 of 2 hold NaN or infinity. Check the checkpoint.",
        ),
        (
            lambda: Codebook(entries()).encode(acts(d=5)),
            ShapeError,
            "codebook holds entries of width 4; the acts have width 5. Use the codebook of this "
            "model.",
        ),
        (
            lambda: Codebook(entries()).embed(torch.tensor([[0, 7]])),
            BadInput,
            "token 7 is not in codebook, which has 7 entries, numbered from 0.",
        ),
        (
            lambda: Codebook(entries()).soft(acts(), 0.0),
            BadInput,
            "Codebook needs a temperature above 0; it got 0.0.",
        ),
    ],
    ids=["shape", "nan", "width", "token", "temperature"],
)
def test_what_makes_no_sense_is_refused(make, error, said):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == said
