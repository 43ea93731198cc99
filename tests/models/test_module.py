import pytest
import torch
from torch import nn

from legenda.core.model import Rerun
from legenda.errors import Missing, Refused
from legenda.models.layout import Layout
from legenda.models.module import ModuleModel, SplitPrefix
from tests.contracts import near
from tests.toys import Branching, Found, Pair, conv_model, pixels

maps = torch.rand(2, 6, 2, 3)


@pytest.mark.parametrize(
    "out",
    [maps, (maps, 1), [1, maps], Pair(maps, 1), {"n": 1, "out": maps}, Found(maps, 1)],
    ids=["tensor", "tuple", "list", "named", "dict", "dataclass"],
)
def test_acts_are_read_and_written_back_in_any_packing(out):
    layout = Layout()
    acts = layout.read(out)
    assert acts.shape == (2, 6, 6)
    assert torch.equal(acts[:, 4], maps[:, :, 1, 1])
    again = layout.write(out, acts + 1)
    assert type(again) is type(out)
    assert torch.equal(layout.tensor(again), maps + 1)


def test_a_model_output_of_transformers():
    from transformers.modeling_outputs import BaseModelOutput

    out = BaseModelOutput(last_hidden_state=torch.rand(2, 5, 6))
    again = Layout().write(out, torch.zeros(2, 5, 6))
    assert isinstance(again, BaseModelOutput) and not again.last_hidden_state.any()


def test_vectors_are_one_position():
    assert Layout().read(torch.ones(2, 6)).shape == (2, 1, 6)
    assert Layout().write(torch.ones(2, 6), torch.zeros(2, 1, 6)).shape == (2, 6)


def test_a_field_says_which_of_several():
    out = {"low": torch.ones(2, 3, 4), "high": torch.zeros(2, 3, 4)}
    assert not Layout("high").read(out).any()
    assert Layout(1).read((torch.ones(2, 3, 4), torch.zeros(2, 3, 4))).sum() == 0
    with pytest.raises(Refused) as caught:
        Layout("hihg").read(out)
    assert str(caught.value) == (
        "the site returns dict with low, high; 'hihg' is not among them. Did you mean 'high'?"
    )


def test_a_site_without_tensors_or_with_odd_ones():
    with pytest.raises(Refused) as caught:
        Layout().read({"n": 3})
    assert str(caught.value) == (
        "the site returns dict, which holds no tensor. Choose another site."
    )
    with pytest.raises(Refused) as caught:
        Layout().read(torch.ones(2, 3, 4, 5, 6))
    assert str(caught.value) == (
        "a site must hold vectors (b d), tokens (b n d) or maps (b c h w); this one holds "
        "(2, 3, 4, 5, 6). Choose another site."
    )


def test_an_unknown_site_suggests_near_ones():
    with pytest.raises(Missing) as caught:
        ModuleModel(Branching("tensor"), "stem.conf")
    assert str(caught.value) == (
        "Branching has no site 'stem.conf'. Did you mean 'stem.conv' or 'stem'? "
        "List its sites with `legenda models MODEL --sites`."
    )


def test_only_a_sequence_can_be_split():
    assert isinstance(conv_model(sequential=True).prefix(pixels()), SplitPrefix)
    assert isinstance(conv_model(sequential=False).prefix(pixels()), Rerun)


class TwoTensors(nn.Module):
    """Returns maps, and a tensor per picture that what follows needs too."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 4, 4)

    def forward(self, x):
        return self.conv(x).tanh(), x.mean((1, 2, 3))


class Both(nn.Module):
    """Needs both."""

    def forward(self, pair):
        return pair[0].mean((2, 3)) + pair[1][:, None]


def test_what_else_a_site_returns_goes_with_its_rows():
    model = ModuleModel(nn.Sequential(TwoTensors(), Both()), "0", example=pixels(2))
    x = pixels(3)
    prefix, rows = model.prefix(x), torch.tensor([2, 0, 0, 1, 2])
    assert near(prefix.resume(prefix.acts[rows], rows), model.run(x).output[rows])


class Tokens(nn.Module):
    """A class token and four patches."""

    def __init__(self, keep=5):
        super().__init__()
        self.patch, self.keep = nn.Conv2d(3, 6, 4, 4), keep
        self.head = nn.Linear(6, 5)
        self.site = nn.Identity()

    def forward(self, x):
        patches = self.patch(x).flatten(2).mT
        tokens = torch.cat([patches.mean(1, keepdim=True), patches], 1)[:, : self.keep]
        return self.head(self.site(tokens).tanh().mean(1))


def test_special_positions_are_declared():
    model = ModuleModel(Tokens(), "site", special=(0,), example=pixels(2))
    assert model.grid == (2, 2)
    assert model.prefix(pixels(1)).special.tolist() == [[True, False, False, False, False]]


def test_positions_that_make_no_grid_ask_for_special_ones():
    with pytest.raises(Refused) as caught:
        ModuleModel(Tokens(), "site", example=pixels(2))
    assert str(caught.value) == (
        "5 positions do not make a grid with the proportions of a 8x8 image. "
        "Declare the special tokens (for instance `special=(0,)` for a class token)."
    )


# ----------------------------------------------------------------------- self-checks


class Odd(nn.Module):
    """Goes wrong in one of several ways."""

    def __init__(self, fault):
        super().__init__()
        self.site, self.aside, self.fault = nn.Linear(3, 3), nn.Linear(3, 3), fault

    def forward(self, x):
        x = x.mean((2, 3))
        y = self.site(x)
        self.aside(x)
        if self.fault == "dropout":
            y = nn.functional.dropout(y, 0.5)
        if self.fault == "nan":
            y = y / 0
        return y.tanh() if self.fault != "nan" else y - y


@pytest.mark.parametrize(
    ("fault", "site", "says"),
    [
        ("dropout", "site", "odd gives two answers to one input (dropout?). "
         "Call `.eval()` on it before opening."),
        ("nan", "site", "odd gives numbers that are not finite at odd@site. "
         "Check its weights and its precision."),
        ("", "aside", "the output of odd does not depend on the site odd@aside. "
         "Open it at a site before the output."),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_trusted_is_refused(fault, site, says):
    with pytest.raises(Refused) as caught:
        ModuleModel(Odd(fault), site, example=pixels(2))
    assert str(caught.value) == says


class Shared(nn.Module):
    """One activation, used twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 5, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x)))).mean((2, 3))


def test_a_site_that_is_passed_twice_is_refused():
    with pytest.raises(Refused) as caught:
        ModuleModel(Shared(), "relu", example=pixels(2))
    assert str(caught.value) == (
        "a site must be passed once in a run; this ReLU is passed more often. Choose another "
        "site, such as a module around one use of it."
    )
    assert ModuleModel(Shared(), "first", example=pixels(2)).grid == (2, 2)


class InPlace(nn.Module):
    """What follows the site works in place."""

    def __init__(self):
        super().__init__()
        self.site, self.relu, self.head = nn.Conv2d(3, 4, 4, 4), nn.ReLU(inplace=True), nn.Flatten()

    def forward(self, x):
        return self.head(self.relu(self.site(x)))


def test_what_follows_in_place_changes_neither_acts_nor_gradients():
    torch.manual_seed(0)
    model, x = ModuleModel(InPlace(), "site"), pixels(2)
    run = model.run(x)
    output, acts = run.output.detach(), run.acts.detach()
    assert (acts < 0).any() and near(acts, model.acts(x).detach())
    leaf = acts.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model.run(x, edit=lambda _: leaf).output.sum(), [leaf])
    assert torch.equal(slope, (acts > 0).float())
    assert torch.equal(model.run(x, edit=lambda a: a).output, output)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_refused(dtype):
    with pytest.raises(Refused) as caught:
        ModuleModel(InPlace().to(dtype), "site")
    assert str(caught.value) == (
        f"legenda reads float32; InPlace holds {dtype}. Call .float() on it before opening."
    )
