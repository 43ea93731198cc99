"""What every model, dictionary and explainer must satisfy, written once.

A new adapter or method adds one line to a list in `test_contracts.py` and inherits every
check here.
"""

import gc

import torch
from torch import nn

from legenda.core.codes import Codes
from legenda.core.model import Decodes, Model, prefix_of
from legenda.core.units import Units

TOLERANCE = 1e-5


def network(model):
    """The module inside an adapter, or the toy itself."""
    return getattr(model, "root", getattr(model, "module", model))


def traces(model):
    """Everything about a network that legenda must leave as it was."""
    net = network(model)
    assert isinstance(net, nn.Module)
    modules = list(net.modules())
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules]
    modes = [m.training for m in modules]
    weights = [(p.dtype, p.requires_grad, p.grad is None, p._version) for p in net.parameters()]
    configs = [repr(m.config) for m in modules if hasattr(m, "config")]
    attention = [
        getattr(m.config, "_attn_implementation", 0) for m in modules if hasattr(m, "config")
    ]
    return hooks, modes, weights, configs, attention


def near(found, wanted):
    """Equal, relative to the largest number there is."""
    return (found - wanted).abs().max() <= TOLERANCE * wanted.abs().max().clamp(min=1.0)


def check_model(model, x):
    before = traces(model)
    assert isinstance(model, Model), "it has run, acts, name, ref and grid"
    run, again = model.run(x), model.run(x)
    assert torch.equal(run.acts, again.acts), "running is deterministic"
    assert torch.equal(run.output, again.output), "running is deterministic"
    assert torch.equal(model.acts(x), run.acts), "acts are what a run holds"
    late = model.run(x)
    assert torch.equal(late.output, run.output), "output may be read before acts"
    assert torch.equal(late.acts, run.acts), "acts may be read after output"
    assert torch.equal(model.run(x, edit=lambda a: a).output, run.output), (
        "identity edit: same bits"
    )
    zero = model.run(x, edit=torch.zeros_like)
    assert not torch.equal(run.output, zero.output), "the site is upstream of the output"
    assert not zero.acts.any(), "acts are read after the edit"
    try:
        _ = model.run(x, edit=lambda a: 1 / 0).output
    except ZeroDivisionError:
        pass
    assert torch.equal(model.run(x).output, run.output), "a failing edit leaves nothing behind"
    check_prefix(model, x, run)
    if isinstance(model, Decodes):
        assert model.decode(run.acts).shape == x.shape, "decoded acts are images"
    assert traces(model) == before, "no hook, gradient, mode, dtype or weight has changed"


def check_prefix(model, x, run):
    prefix, rows = prefix_of(model, x), torch.arange(len(x))
    b, n, _ = prefix.acts.shape
    assert prefix.special.shape == prefix.valid.shape == (b, n), "marks cover every position"
    assert not (prefix.special & ~prefix.valid).any(), "padding is not special"
    drawn = prefix.valid & ~prefix.special
    if model.grid is not None:
        rows_, columns = model.grid
        assert (drawn.sum(1) == rows_ * columns).all(), "drawn positions fill the grid"
    assert torch.equal(prefix.acts, run.acts.detach()), "the prefix holds the acts"
    assert near(prefix.resume(prefix.acts, rows), run.output), "resuming is the full run"
    mixed = torch.tensor([len(x) - 1, 0, 0])
    assert near(prefix.resume(prefix.acts[mixed], mixed), run.output[mixed]), "rows may repeat"
    other = (prefix.acts * 0.5 + 0.1).requires_grad_()
    slow = model.run(x, edit=lambda _: other).output
    fast = prefix.resume(other, rows)
    assert near(fast, slow), "resuming edited acts is the full run with that edit"
    (slope,) = torch.autograd.grad(slow.square().sum(), [other])
    (quick,) = torch.autograd.grad(fast.square().sum(), [other])
    assert near(quick, slope), "and so are gradients"


def check_no_leak(act, times=1000, slack=60):
    """Calling `act` many times leaves no object behind, and no memory."""
    import psutil

    me = psutil.Process()
    for _ in range(20):
        act()
    gc.collect()
    objects, memory = len(gc.get_objects()), me.memory_info().rss
    for _ in range(times):
        act()
    gc.collect()
    assert len(gc.get_objects()) - objects < slack, "objects are left behind"
    assert me.memory_info().rss - memory < 16 << 20, "memory grows"


def check_dictionary(dictionary, acts):
    codes = dictionary.encode(acts)
    k = len(dictionary.atoms)
    assert codes.size == k and codes.dense().shape == (*acts.shape[:2], k)
    assert 0 <= codes.index.min() and codes.index.max() < k, "every slot names a real unit"
    used = codes.index.masked_fill(codes.weight == 0, -1).sort(-1).values
    assert not ((used[..., 1:] == used[..., :-1]) & (used[..., 1:] >= 0)).any(), "one slot per unit"
    assert dictionary.decode(codes).shape == acts.shape
    bias = dictionary.decode(Codes(codes.index, torch.zeros_like(codes.weight), k))
    linear = codes.dense() @ dictionary.atoms + bias
    assert near(dictionary.decode(codes), linear), "decoding is affine in the atoms"


def check_lift(units: Units, x):
    acts = units.model.acts(x)
    for unchanged in (lambda c: c, lambda c: Codes(c.index.clone(), c.weight + 0.0, c.size)):
        assert units.lift(unchanged)(acts) is acts, "no change returns the acts themselves"
    clean = units.model.run(x)
    kept = units.model.run(x, edit=units.lift(lambda c: c))
    assert torch.equal(kept.output, clean.output), "no edit, no reconstruction error"


def check_explainer(explain, units, x, target):
    before = traces(units.model)
    weights = [p.clone() for p in network(units.model).parameters()]
    state = torch.get_rng_state()
    first, second = explain(units, x, target), explain(units, x, target)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not ours"
    for name, array in first.arrays().items():
        assert array.isfinite().all(), name
        assert not array.requires_grad, f"{name} still carries a graph"
        assert torch.equal(array, second.arrays()[name]), f"{name}: same seed, same bits"
    assert first.panels(), "there is something to look at"
    assert traces(units.model) == before, "no hook, gradient, mode or dtype is left"
    after = network(units.model).parameters()
    assert all(torch.equal(p, q) for p, q in zip(weights, after, strict=True)), "weights untouched"
    assert explain == eval(repr(explain), {type(explain).__name__: type(explain)}), (
        "repr is the key"
    )
