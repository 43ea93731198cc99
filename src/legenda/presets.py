"""The published settings of each paper, quirks included, each quirk one field.

A preset is a frozen dataclass like any method, so it can be read, compared and changed
with `dataclasses.replace`. Our defaults differ where the official code is wrong or slow;
the docstring of each field of the method says how.
"""

from legenda.explain.bottleneck import InformationBottleneck

M2IB = InformationBottleneck(
    beta=0.1,
    steps=10,
    lr=1.0,
    draws=10,
    quiet=0.0,
    coast=0.0,
    antithetic=False,
    per="entry",
    special="channel",
    smooth=0.0,
    start=5.0,
    stale=True,
    moments="raw",
)
"""M2IB as published for general CLIP models, image and text alike.

β 0.1 with the KL averaged over entries, Adam with rate 1 for 10 steps, 10 copies with
independent noise in every step, α from 5. Quirks kept, each a field: `moments="raw"` (the
code's `variance` is never used), `special="channel"` (class, begin and end tokens pass
through the channel and are only then left out of the map), `stale=True` (the map is the one
before the last step).

Wang, Rudner, Wilson. Visual explanations of image-text representations via multi-modal
information bottleneck attribution. NeurIPS 2023.
"""

M2IB_SITES = {"image": 9, "text": 9}
"""Block after which the published channel sits, in towers of 12 blocks."""
