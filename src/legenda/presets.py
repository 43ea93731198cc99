"""The published settings of each paper, quirks included, each quirk one field.

A preset is a frozen dataclass like any method, so it can be read, compared and changed
with `dataclasses.replace`. Our defaults differ where the official code is wrong or slow;
the docstring of each field of the method says how.
"""

from dataclasses import dataclass, replace

from legenda.concepts.extractors import PUBLISHED, Extractor
from legenda.corpus.region import box
from legenda.dictionaries.auxiliary import Revival
from legenda.dictionaries.matryoshka import MatryoshkaBatchTopK
from legenda.explain.bottleneck import InformationBottleneck
from legenda.explain.codebook_search import CodebookSearch
from legenda.explain.manipulation import Conditional, Invariance
from legenda.explain.token_importance import TokenImportance
from legenda.explain.traversal import Traversal
from legenda.train.loop import Schedule, Staircase

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


@dataclass(frozen=True)
class Cortex:
    """CORTEX as published for a class-conditional VQGAN of 16 × 16 tokens; each quirk one field.

    Parameters
    ----------
    extractor: the convolutional one; `PUBLISHED` holds the others.
    epochs, batch: passes over the training images, and images per step.
    schedule: Adam with L2 decay inside the gradient, a tenth of the rate every 20 of 80 epochs
        (`stairs=4`), no warm-up, no clipping. Theirs has no seed; ours always has one.
    importance: 20 copies; noise as a share of the range of the whole batch, so that a score
        depends on its neighbours (`span="batch"`); the largest signed slope, so that evidence
        against a concept is dropped (`reduce="max_signed"`).
    positions: the region of the codebook search, rows and columns 7 to 10.
    top, listed: tokens of an image that count towards a concept, and tokens on its list.

    Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
    generative models. ICML 2025.
    """

    extractor: Extractor = PUBLISHED["cnn"]
    epochs: int = 80
    batch: int = 512
    schedule: Staircase = Staircase(80, lr=1e-3, weight_decay=1e-4, stairs=4, factor=0.1)
    importance: TokenImportance = TokenImportance(20, 0.2, span="batch", reduce="max_signed")
    positions: tuple[int, ...] = box((16, 16), 7, 7, 4, 4)
    top: int = 20
    listed: int = 100

    @property
    def search(self) -> CodebookSearch:
        """5000 steps, one start, a temperature that stays 1, a look every 500.

        Theirs keeps the step that the reported classifier likes best: to reproduce that, give the
        classifier as `selector`.
        """
        return CodebookSearch(self.positions, 5000, 0.01, warm=1.0, cold=1.0, restarts=1, every=500)


CORTEX = Cortex()
CORTEX_TEXT = replace(
    CORTEX, epochs=10, batch=256, schedule=replace(CORTEX.schedule, stairs=2), top=5, listed=10
)
"""CORTEX as published for a text-to-image model: two groups of prompts, shorter training."""


@dataclass(frozen=True)
class ConceptDictionary:
    """The dictionary of CFM (first called Insight) as published; each quirk one field.

    Parameters
    ----------
    learner: 8192 units in six groups, 12 on at a row on average; errors divided by the number of
        groups twice (`published_double`); the 256 strongest of units that were silent for 10 M
        rows explain the residual, at 1/32.
    lr, betas, clip: Adam without warm-up, decay of the rate or decay of weights; norm of 1 at most.
    batch: rows of a step. Theirs are whole images, ours are shuffled one by one.
    epochs: passes over the rows.
    seed: of atoms and order.

    Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
    in vision-language encoders. arXiv 2601.13798.
    """

    learner: MatryoshkaBatchTopK = MatryoshkaBatchTopK(
        8192, 12, (65, 245, 491, 983, 1966, 4442), published_double=True,
        revive=Revival(1 / 32, 10_000_000, 256), memory=0.999, start=1000,
    )  # fmt: skip
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    batch: int = 16384
    epochs: int = 3
    seed: int = 42

    def plan(self, rows: int) -> Schedule:
        """What the training loop follows, for so many rows per epoch."""
        return Schedule(
            max(1, self.epochs * rows // self.batch), self.lr, warmup=0, decay=0.0,
            weight_decay=0.0, clip=self.clip, betas=self.betas, fused=True,
        )  # fmt: skip


CFM = ConceptDictionary()


@dataclass(frozen=True)
class LatentExplainer:
    """LatentExplainer's VAE traversals as published; each quirk one field.

    Parameters
    ----------
    traversal: five fixed values for every latent, from draws of the prior alone.
    rows: one anchor, seed 20.
    invariance: the other latent and the constant of the second row, by data set.
    conditional: how far along the difference of class means.
    """

    traversal: Traversal = Traversal(values=(-3, -1.5, 0, 1.5, 3), real=0.0, seed=20)
    rows: int = 1
    invariance: tuple[tuple[str, Invariance], ...] = (
        ("3dshapes", Invariance(1, 0.0, traversal=traversal)),
        ("celeba", Invariance(0, 3.0, traversal=traversal)),
        ("dsprites", Invariance(2, 0.0, traversal=traversal)),
    )
    conditional: Conditional = Conditional((0.0, 1.0, 2.0, 3.0, 4.0))


LATENTS = LatentExplainer()
"""LatentExplainer as published: one draw of the prior (seed 20), five fixed values for each latent,
and a second row with another latent at a constant.

Zhu, Kanjiani, Lu, Choi, Ye, Zhao. LatentExplainer: explaining latent representations in deep
generative models with multimodal large language models. arXiv 2406.14862.
"""
