import pytest
import torch
from torch import nn

from legenda.core.hooks import output_of, rewriting
from legenda.core.model import Decodes, DualEncoder, Model, Rerun, Resumes, Run, prefix_of
from tests.toys import ToyEncoder, ToyReader, ToyVAE, conv_model, pixels, tiny_dual


def test_output_is_computed_when_first_read_and_once():
    calls = []

    def output():
        calls.append(1)
        return torch.ones(1, 2)

    run = Run(torch.zeros(1, 1, 1), output)
    _ = run.acts
    assert calls == []
    assert torch.equal(run.output, run.output)
    assert calls == [1]


def test_reading_acts_computes_nothing_after_the_site():
    model, reached = conv_model(sequential=False), []
    hook = model.module.head.register_forward_hook(lambda *_: reached.append(1))
    run = model.run(pixels())
    _ = run.acts
    assert reached == []
    _ = run.output
    assert reached == [1]
    hook.remove()


def test_an_edit_is_called_once_however_a_run_is_read():
    for first in ("acts", "output"):
        calls = []

        def edit(acts, calls=calls):
            calls.append(1)
            return acts * 2

        run = conv_model().run(pixels(), edit=edit)
        getattr(run, first)
        _ = run.output, run.acts, run.output
        assert calls == [1]


def test_capabilities_are_protocols():
    assert isinstance(ToyEncoder(), Model) and not isinstance(ToyEncoder(), Resumes | Decodes)
    assert isinstance(ToyVAE(), Decodes)
    assert isinstance(tiny_dual().image, Resumes)
    pair = DualEncoder(ToyEncoder(), ToyReader())
    assert pair.text.grid is None


def test_a_model_that_cannot_resume_reruns():
    prefix = prefix_of(ToyEncoder(), pixels())
    assert isinstance(prefix, Rerun)
    assert not prefix.special.any() and prefix.valid.all()


def test_a_hook_is_gone_when_its_block_ends_even_in_an_error():
    layer = nn.Linear(2, 2)
    with pytest.raises(ZeroDivisionError), rewriting(layer, lambda out: 1 / 0):
        layer(torch.ones(1, 2))
    assert not layer._forward_hooks


def test_a_site_that_is_never_reached():
    with pytest.raises(LookupError, match="the site was never reached"):
        output_of(nn.Linear(2, 2), lambda: None)
