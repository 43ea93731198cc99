"""The published procedure of M2IB, slowly and literally: the twin that ours is timed against.

Ten identical copies go through both towers from the input at every step, with gradients to
every weight; the map is read from the last forward pass, before the last step.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from legenda.core.hooks import rewriting

Noise = Callable[[int], Tensor]
"""Noise of one step, `copies n d`."""


def published(
    model: Any,
    pixels: Tensor,
    ids: Tensor,
    tower: str,
    block: int,
    noise: Noise,
    beta: float = 0.1,
    steps: int = 10,
    copies: int = 10,
    lr: float = 1.0,
) -> Tensor:
    """Nats per position (n) of one tower for one pair."""
    inside = model.vision_model if tower == "image" else model.text_model
    site, alpha, last = inside.encoder.layers[block], None, None
    optimizer: Any = None
    for step in range(steps):
        state: dict[str, Tensor] = {}

        def pour(out: Tensor, step: int = step, state: dict[str, Tensor] = state) -> Tensor:
            nonlocal alpha, optimizer
            if alpha is None:
                alpha = torch.full_like(out[:1].detach(), 5.0).requires_grad_()
                optimizer = torch.optim.Adam([alpha], lr=lr)
            mask = alpha.sigmoid()
            variance = (1 - mask) ** 2
            state["kl"] = 0.5 * ((mask * out) ** 2 + variance - 1 - variance.log())
            return mask * out + (1 - mask) * noise(step)

        with rewriting(site, pour):
            seen = model.get_image_features(pixel_values=pixels.expand(copies, -1, -1, -1))
            read = model.get_text_features(
                input_ids=ids.expand(copies, -1),
                attention_mask=torch.ones_like(ids.expand(copies, -1)),
            )
        fit = cosine_similarity(seen.pooler_output, read.pooler_output).mean()
        loss = beta * state["kl"].mean() - fit
        model.zero_grad()
        optimizer.zero_grad()
        loss.backward()  # the weights take gradients too: that is the published cost
        last = state["kl"].detach()
        optimizer.step()
    assert last is not None
    return last[0].sum(-1)
