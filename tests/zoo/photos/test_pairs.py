"""The split law: whatever shows the same thing stays on one side."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from legenda.errors import Missing
from legenda.zoo.photos import pairs as pairing
from legenda.zoo.photos.pairs import Pair, families, gallery, listed, split, stripped


def many(count: int = 900) -> tuple[list[Pair], np.ndarray]:
    """Invented pairs: every title twice, every fifth picture nearly that of another title."""
    draw = np.random.default_rng(0)
    sources = ("emoji", "openclipart", "tuxpaint")
    made = [
        Pair(
            f"{sources[i % 3]}/p{_letters(i)}.png",
            f"a {_letters(i // 2)} {i % 2}",
            (),
            sources[i % 3],
        )
        for i in range(count)
    ]
    features = draw.standard_normal((count, 64)).astype(np.float32)
    for i in range(0, count - 7, 5):
        features[i + 7] = features[i] + 0.01 * draw.standard_normal(64)
    return made, features


def quotas(emoji: int, tuxpaint: int, openclipart: int) -> dict[str, dict[str, int]]:
    part = {"emoji": emoji, "tuxpaint": tuxpaint, "openclipart": openclipart}
    return {"test": part, "validation": part}


def _letters(i: int) -> str:
    return "".join(chr(97 + (i // 26**k) % 26) for k in range(3))


def test_no_family_no_title_and_no_near_duplicate_crosses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "QUOTAS", quotas(20, 10, 20))
    made, features = many()
    parts = split(made, features, seed=3)
    for key in (lambda p: p.family, lambda p: stripped(p.title)):
        seen: dict[object, set[str]] = {}
        for pair in parts:
            seen.setdefault(key(pair), set()).add(pair.split)
        assert all(len(sides) == 1 for sides in seen.values())
    rows = features - features.mean(0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    close = np.argwhere(rows @ rows.T > pairing.NEAR)
    assert len(close) > len(made)
    assert all(parts[i].split == parts[j].split for i, j in close)


def test_each_part_has_the_families_it_was_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "QUOTAS", quotas(5, 3, 4))
    made, features = many()
    parts = split(made, features)
    for name in ("test", "validation"):
        chosen = [parts[i] for i in gallery(parts, name)]
        assert len({pair.family for pair in chosen}) == len(chosen) == 12
        assert len({pair.caption for pair in chosen}) == 12
    assert max(Counter(p.family for p in parts if p.split == "test").values()) <= pairing.LARGEST


def test_the_split_is_a_function_of_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "QUOTAS", quotas(5, 3, 4))
    made, features = many(300)
    assert split(made, features, 1) == split(made, features, 1)
    assert split(made, features, 1) != split(made, features, 2)


def test_families_are_joined_transitively_as_a_slow_search_finds_them() -> None:
    made, features = many(120)
    found = families(made, features)
    rows = features - features.mean(0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    linked = rows @ rows.T > pairing.NEAR
    titles = [stripped(p.title) for p in made]
    for i in range(len(made)):
        linked[i] |= [titles[i] == title for title in titles]
    reached, grown = np.zeros_like(linked), linked.copy()
    while (reached != grown).any():
        reached, grown = grown, (grown.astype(int) @ grown.astype(int)) > 0
    assert found == [int(np.argmax(row)) for row in reached]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("woman astronaut", "man astronaut: medium-dark skin tone"),
        ("Ice Cream Cone (3 Scoop)", "ice cream cone (1 scoop) (b and w)"),
        ("A red apple", "The red apple_02"),
    ],
)
def test_names_of_one_family_agree(one: str, other: str) -> None:
    assert stripped(one) == stripped(other) != ""


def test_listing_reads_each_source_and_leaves_writing_out(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (32, 32), (255, 0, 0, 255))

    def put(name: str, side: int = 32) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture.resize((side, side)).save(tmp_path / name)

    emoji = [
        {"hexcode": "1F436", "label": "dog face", "tags": ["dog", "pet"], "group": 3},
        {"hexcode": "2194-FE0F", "label": "left-right arrow", "tags": [], "group": 8},
    ]
    (tmp_path / "emoji-names").mkdir()
    (tmp_path / "emoji-names" / "data.json").write_text(json.dumps(emoji), "utf-8")
    put("emoji/1f436.webp")
    put("emoji/2194.webp")
    for name in ("animals/cat", "symbols/alphabets/e", "animals/dot"):
        put(f"tuxpaint/{name}.png", 8 if name.endswith("dot") else 32)
        (tmp_path / f"tuxpaint/{name}.txt").write_text("A striped cat.\nfr=Un chat.", "utf-8")
    svg = "<dc:title>Small_Truck</dc:title><rdf:li>unsorted</rdf:li><rdf:li>truck</rdf:li>"
    for name in ("transportation/truck", "shapes/star"):
        put(f"openclipart/{name}.png")
        (tmp_path / "openclipart-names" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"openclipart-names/{name}.svg").write_text(svg, "utf-8")
    assert [(p.picture, p.caption) for p in listed(tmp_path, {"small", "truck"})] == [
        ("emoji/1f436.webp", "dog face. dog, pet"),
        ("openclipart/transportation/truck.png", "small truck. truck"),
        ("tuxpaint/animals/cat.png", "A striped cat"),
    ]


def test_absent_pairs_are_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing) as caught:
        listed(tmp_path, set())
    assert str(caught.value) == (
        f"The pairs of zoo:photos are not in {tmp_path}. Run `legenda zoo train photos` where "
        "npm and apt-get can download, or call fetch_pairs()."
    )


def test_only_english_titles_are_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "QUOTAS", quotas(5, 3, 4))
    made, features = many(300)
    foreign = [replace(p, english=p.source != "openclipart") for p in made]
    parts = split(foreign, features)
    chosen = [parts[i] for i in (*gallery(parts, "test"), *gallery(parts, "validation"))]
    assert chosen
    assert all(pair.english for pair in chosen)
