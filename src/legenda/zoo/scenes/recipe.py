"""How `zoo:scenes` is trained: a small CLIP on freshly drawn scenes, never twice the same.

Two contrastive losses are summed. The first is CLIP's: each picture against each sentence
of its batch. The second has exact negatives, which only a world with known truth can give:
each picture against a bank of phrases, of which exactly those that hold of one of its
things are right.

    L = InfoNCE(pictures, sentences) + ½ (L_p + L_t)                        (1)
    L_p = mean over true (i, p)  -log  e^{s_ip} / (e^{s_ip} + Σ_{q false of i} e^{s_iq})   (2)

and L_t the same with pictures and phrases exchanged. No mask and no position is ever shown
to the model: where things are it must find out.

References
----------
Radford et al. Learning transferable visual models from natural language supervision.
ICML 2021. The first loss.
Yuksekgonul et al. When and why vision-language models behave like bags-of-words, and what
to do about it? ICLR 2023. Why sentences that differ in one word must be among the negatives.
Li et al. Scaling language-image pre-training via masking. CVPR 2023. Dropping patches.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from transformers import CLIPConfig, CLIPModel

from legenda.errors import BadInput
from legenda.models.loading import quietly
from legenda.train.loop import Report, Schedule, fit
from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.words import Claim, bank, say, tell, tokenizer, truth
from legenda.zoo.scenes.world import Scene, draw

SIDE, PATCH = 96, 8
MEAN, STD = 0.5, 0.25
TRAIN_SEEDS = 1_000_000_000
"""Training scenes have seeds from here on; selection and test scenes have smaller ones."""
DROP_UNTIL = 224_000
"""For so many images, two fifths of the patches are dropped; then the model sees all of them."""


@dataclass(frozen=True)
class Batch:
    """Pictures with one sentence each, and which phrase holds of which picture."""

    pixels: np.ndarray
    sentences: list[str]
    phrases: list[str]
    held: np.ndarray


def new_model(seed: int = 0) -> CLIPModel:
    """The untrained model: 4 vision and 3 text layers, 2.5 million parameters."""
    words = tokenizer()
    special = {
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    text = {
        "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3,
        "num_attention_heads": 4, "vocab_size": len(words), "max_position_embeddings": 40,
    }  # fmt: skip
    vision = {
        "hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4,
        "num_attention_heads": 6, "image_size": SIDE, "patch_size": PATCH,
    }  # fmt: skip
    torch.manual_seed(seed)
    model = CLIPModel(
        CLIPConfig(
            text_config={**text, **special},
            vision_config=vision,
            projection_dim=128,
        )
    )
    model.set_attn_implementation("eager")  # on a CPU, twice as fast as the fused kernel
    return model


def pixels_of(images: np.ndarray) -> Float[Tensor, "b 3 h w"]:
    """Bytes `b h w 3` as the normalised pixels that the model takes."""
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def batch_of(first: int, count: int, most: int) -> Batch:
    """Draw and paint the scenes `first` to `first + count`, and say what holds of them."""
    scenes = [draw(first + i, most) for i in range(count)]
    lots = [np.random.default_rng((scene.seed, 3)) for scene in scenes]
    claims = bank() + triples(scenes, np.random.default_rng((first, 4)))
    return Batch(
        np.stack([photograph(s, SIDE) for s in scenes]),
        [tell(s, lot) for s, lot in zip(scenes, lots, strict=True)],
        [say(c) for c in claims],
        truth(claims, scenes),
    )


def triples(scenes: list[Scene], lot: np.random.Generator) -> list[Claim]:
    """One true claim of three attributes per scene."""
    things = [scene.things[lot.integers(len(scene.things))] for scene in scenes]
    return [
        {"kind": t.kind, "colour": t.colour, "texture": t.texture}
        for t in things
        if t.texture != "plain"  # unsaid when plain, so it would claim nothing
    ]


def train(
    out: Path,
    images: int = 1_011_200,
    batch: int = 128,
    seed: int = 0,
    workers: int = 1,
    report: Report | None = None,
) -> CLIPModel:
    """Train on `images` fresh scenes and write a Hugging Face folder to `out`; resumable.

    Parameters
    ----------
    images: how many scenes are seen; more is better, and slower.
    batch: pictures per step, and so negatives per sentence.
    seed: of the weights and the scenes.
    workers: processes that paint.
    """
    checked(images, batch, seed, workers)
    out.mkdir(parents=True, exist_ok=True)
    steps = images // batch
    words = tokenizer(out)
    model = new_model(seed).train()
    objective = Objective(model, words, seed)
    first = TRAIN_SEEDS * (seed + 1)
    with ProcessPoolExecutor(workers) as pool:
        ahead = {}

        def loss(step: int) -> tuple[Tensor, dict[str, float]]:
            for soon in range(step, min(step + 2 * workers + 2, steps)):
                if soon not in ahead:
                    most = curriculum(soon * batch)
                    ahead[soon] = pool.submit(batch_of, first + soon * batch, batch, most)
            keep = 0.6 if step * batch < DROP_UNTIL else 1.0
            return objective(step, ahead.pop(step).result(), keep)

        schedule = Schedule(steps, lr=1e-3, warmup=300, decay=0.3, half=True)
        fit(model, loss, schedule, out / "checkpoint.safetensors", 250, report)
    save(model.eval(), out)
    return model


def checked(images: int, batch: int, seed: int, workers: int) -> None:
    """Refuse what would train nothing, before anything is written."""
    if batch < 1 or images < batch:
        raise BadInput(
            f"training needs at least one batch of {max(batch, 1)} images; it got images={images} "
            f"and batch={batch}. Ask for more images."
        )
    if workers < 1:
        raise BadInput(
            f"training needs at least one worker that paints; it got workers={workers}. Give 1."
        )
    if seed < 0:
        raise BadInput(f"training needs a seed of 0 or more; it got seed={seed}. Give 0.")


def curriculum(images: int) -> int:
    """The most objects per scene: one at first, then two, then four."""
    return 1 if images < 24_000 else 2 if images < 64_000 else 4


def save(model: CLIPModel, out: Path) -> None:
    """Write the folder in half precision, which is what ships."""
    from transformers import CLIPImageProcessorPil

    with quietly():
        model.half().save_pretrained(out)
    model.float()
    CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        image_mean=[MEAN] * 3,
        image_std=[STD] * 3,
    ).save_pretrained(out)


class Objective:
    """Equation (1) for one batch."""

    def __init__(self, model: CLIPModel, words, seed: int):  # noqa: ANN001 -- as in words.py
        self.model, self.words, self.seed = model, words, seed

    def __call__(self, step: int, batch: Batch, keep: float) -> tuple[Tensor, dict[str, float]]:
        lot = np.random.default_rng((self.seed, step, 4))
        scale = self.model.logit_scale.exp().clamp(max=100)
        image = normalize(self.see(pixels_of(batch.pixels), keep, step), dim=-1)
        sentence = normalize(self.read(batch.sentences, lot), dim=-1)
        whole = scale * image @ sentence.T
        right = torch.arange(len(whole))
        info_nce = (cross_entropy(whole, right) + cross_entropy(whole.T, right)) / 2
        phrase = normalize(self.read(batch.phrases, None), dim=-1)
        held = torch.from_numpy(batch.held)
        scores = scale * image @ phrase.T
        exact = (against_false(scores, held) + against_false(scores.T, held.T)) / 2
        return info_nce + exact, {
            "sentences": float(info_nce.detach()),
            "phrases": float(exact.detach()),
        }

    def see(self, pixels: Tensor, keep: float, step: int) -> Float[Tensor, "b e"]:
        """Embed pictures, from a random `keep` share of their patches (drawn once per step)."""
        tower = self.model.vision_model
        acts = tower.embeddings(pixels)
        if keep < 1:
            seeded = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            order = torch.rand(acts.shape[:2], generator=seeded)
            order[:, 0] = -1
            chosen = order.argsort(1)[:, : 1 + int(keep * (acts.shape[1] - 1))]
            acts = acts.gather(1, chosen[:, :, None].expand(-1, -1, acts.shape[2]))
        acts = tower.encoder(inputs_embeds=tower.pre_layrnorm(acts)).last_hidden_state
        return self.model.visual_projection(tower.post_layernorm(acts[:, 0])).float()

    def read(self, texts: list[str], lot: np.random.Generator | None) -> Float[Tensor, "t e"]:
        """Embed texts; with a lot, a tenth of the words of a third of them are masked."""
        fed = self.words(texts, padding=True, return_tensors="pt")
        ids = fed["input_ids"]
        if lot is not None:
            blank = (lot.random((len(ids), 1)) < 0.3) & (lot.random(tuple(ids.shape)) < 0.1)
            ids = ids.masked_fill(torch.from_numpy(blank) & (ids > 3), self.words.mask_token_id)
        out = self.model.get_text_features(input_ids=ids, attention_mask=fed["attention_mask"])
        return out.pooler_output.float()


def against_false(scores: Float[Tensor, "i p"], held: Bool[Tensor, "i p"]) -> Tensor:
    """Equation (2): each true pair against all that is false in its row."""
    false = scores.masked_fill(held, -torch.inf).logsumexp(1, keepdim=True)
    loss = torch.logaddexp(scores, false) - scores
    return loss[held].mean()
