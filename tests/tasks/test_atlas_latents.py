from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.atlas.store import Atlas, loaded
from legenda.core.answer import Answer
from legenda.corpus.pictures import from_source
from legenda.errors import BadInput, Unsupported
from legenda.tasks import atlas_factors, latent_nulls
from legenda.tasks.atlas_factors import factors_of
from legenda.tasks.atlas_latent_units import name_of, nulls_of
from legenda.tasks.atlas_latents import gather_latents, pixels_of
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latent_story import Study
from tests.tasks.atlas_world import VAE, VQ, counted, digest_at, vae
from tests.tasks.latent_world import HUE, NOTHING, SIDE, SIZE, SMALL, STILL

HOW = LatentSettings(**SMALL)


@pytest.fixture(autouse=True)
def few_controls(monkeypatch):
    monkeypatch.setattr(latent_nulls, "enough", lambda alpha: 48)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("latents") / "a"
    patch = pytest.MonkeyPatch()
    patch.setattr(latent_nulls, "enough", lambda alpha: 48)
    with Atlas(place, write=True) as atlas:
        gather_latents(atlas, VAE, settings=HOW)
    patch.undo()
    return place


def test_units_say_what_the_latents_do(made):
    with Atlas(made) as atlas:
        units = {u["number"]: u for u in atlas.all("SELECT * FROM units")}
        assert units[SIZE]["state"] == "named" and units[SIZE]["name"].startswith("size, ")
        assert units[HUE]["state"] == "named" and units[HUE]["name"].startswith("hue, ")
        for still in (NOTHING, STILL):
            assert units[still]["state"] == "inactive" and units[still]["why"]
            assert units[still]["certainty"] is None and not units[still]["name"]
        one = units[SIZE]
        assert 0 <= one["low"] <= one["certainty"] <= one["high"] <= 1
        assert loaded(one["facts"])["score"] == "right sheet among four" and one["score"] > 0.5
        assert loaded(one["facts"])["nats"] > 0.1
        row = atlas.one("SELECT s.kind, s.size, m.site FROM sets s JOIN models m ON m.id = s.model")
        assert row is not None and tuple(row) == ("latent", 8, "latents")


def test_sheets_are_bytes_with_steps(made):
    with Atlas(made) as atlas:
        row = atlas.one("SELECT e.evidence FROM explanations e JOIN units u ON u.id = e.unit WHERE u.number = ?", SIZE)  # fmt: skip # noqa: E501
        assert row is not None
        arrays = atlas.arrays(row["evidence"])
        assert arrays["images"].dtype == torch.uint8
        assert tuple(arrays["images"].shape) == (HOW.shown, HOW.frames, 3, SIDE, SIDE)
        assert arrays["values"].diff().gt(0).all()
        areas = (arrays["images"].float().std(2) > 20).float().mean((0, 2, 3))
        assert (areas.diff() > 0).all() or (areas.diff() < 0).all()  # it is the disc that grows
        # one more than those that move: that a unit is still is seen on its sheet
        moving = atlas.value("SELECT count(*) FROM units WHERE state != 'inactive'")
        assert counted(atlas, "explanations") == moving + 1 == 7


def test_what_was_said_stands_before_what_else_was(made):
    with Atlas(made) as atlas:
        said = atlas.all("SELECT d.*, u.state, u.why FROM descriptions d JOIN explanations e ON e.id = d.explanation JOIN units u ON u.id = e.unit WHERE d.place = 0")  # fmt: skip # noqa: E501
        for one in said:
            assert bool(one["text"]) == (one["state"] == "named") == (not one["abstained"])
            assert one["abstained"] == one["why"]
            assert (one["certainty"] is None) == (one["state"] == "inactive")
        twice = (
            "SELECT explanation FROM descriptions GROUP BY explanation, text HAVING count(*) > 1"
        )
        assert not atlas.all(twice)


def test_checks_stand_beside_controls(made):
    with Atlas(made) as atlas:
        rows = {r["name"]: r for r in atlas.all("SELECT s.* FROM scores s JOIN explanations e ON e.id = s.explanation JOIN units u ON u.id = e.unit WHERE u.number = ?", SIZE)}  # fmt: skip # noqa: E501
        right, moves = rows["right sheet among four"], rows["named attribute moves"]
        assert right["control"] == 0.25 and right["low"] <= right["value"] <= right["high"]
        assert right["n"] == HOW.fresh and moves["value"] > 10 * moves["control"]
        assert rows["movement beside it"]["higher_is_better"] == 0
        assert rows["claim over its false twins"]["control"] == 0.125


def test_nulls_say_how_silent_it_is(made):
    with Atlas(made) as atlas:
        row = atlas.one("SELECT * FROM results WHERE kind = 'nulls'")
        assert row is not None
        held = loaded(row["content"])
        assert held["kind"] == "latent" and held["n"] == 24
        assert held["low"] <= held["silent"] <= held["high"] and held["silent"] > 0.8
        named = atlas.value("SELECT count(*) FROM units WHERE state = 'named'")
        assert held["coverage"] == pytest.approx(named / held["active"])
        assert held["coverage_low"] < held["coverage"] < held["coverage_high"]


def test_the_same_twice_is_the_same_and_costs_nothing(made, tmp_path, monkeypatch):
    with Atlas(tmp_path / "b", write=True) as atlas:
        study = gather_latents(atlas, VAE, settings=HOW)
        monkeypatch.setattr("legenda.tasks.atlas_latents.study", None)
        assert gather_latents(atlas, VAE, settings=HOW) == study
    assert digest_at(tmp_path / "b") == digest_at(made)


def test_another_seed_is_another_study(made, tmp_path):
    quick = replace(HOW, rows=4, fresh=2, pool=32, frames=5)
    with Atlas(tmp_path / "b", write=True) as atlas:
        first = gather_latents(atlas, VAE, settings=quick, only=[SIZE, HUE])
        assert counted(atlas, "units") == 2
        again = gather_latents(atlas, VAE, settings=replace(quick, seed=1), only=[SIZE, HUE])
        assert first != again and counted(atlas, "sets") == 1 and counted(atlas, "units") == 2


def test_a_study_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("legenda.tasks.atlas_latents.nulls_of", lambda *_: 1 / 0)
    quick = replace(HOW, rows=4, fresh=2, pool=32, frames=5)
    with Atlas(tmp_path / "b", write=True) as atlas:
        with pytest.raises(ZeroDivisionError):
            gather_latents(atlas, VAE, settings=quick, only=[SIZE])
        for table in ("studies", "units", "models", "explanations", "evidence"):
            assert not counted(atlas, table)


def test_who_is_asked_is_part_of_what_it_is(tmp_path):
    class Hums:
        """Whatever is measured, it says the same."""

        name = "a hummer"

        def __init__(self, measured):
            self.measured = measured

        def __call__(self, sheet, values):
            return tuple(Answer("It hums.", "hum") for _ in self.measured.looks(values))

    quick = replace(HOW, rows=4, fresh=2, pool=32, frames=5, threshold=0.1)
    with Atlas(tmp_path / "b", write=True) as atlas:
        gather_latents(atlas, VAE, settings=quick, only=[SIZE], ask=Hums, by="a hummer")
        assert atlas.value("SELECT name FROM units") == "It hums"
        settings = loaded(atlas.value("SELECT settings FROM studies"))
        assert settings["describer"] == "a hummer" and settings["threshold"] == 0.1
        assert settings["pictures"] == "draws of the prior"


def test_rows_may_begin_at_pictures(tmp_path):
    lot = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(lot.integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(tmp_path / f"{i:02}.png")  # fmt: skip # noqa: E501
    (tmp_path / "20.png").write_bytes(b"no picture")
    source = from_source(tmp_path)
    x = pixels_of(vae(), source)
    assert x is not None and tuple(x.shape) == (20, 3, SIDE, SIDE)
    assert pixels_of(vae(), None) is None


def test_bad_input_is_told(tmp_path):
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(BadInput) as caught:
        pixels_of(vae(), from_source(tmp_path))
    assert str(caught.value).startswith("no picture could be read: ")
    assert str(caught.value).endswith(" Give others, or none.")
    with Atlas(tmp_path / "b", write=True) as atlas, pytest.raises(Unsupported) as other:
        gather_latents(atlas, VQ)
    assert str(other.value) == (
        "a study of latents needs a model of latent variables that decodes; patches has none. "
        "For encoders gather concepts, for codebooks tokens."
    )


def test_a_name_is_short():
    assert name_of(Answer("Size goes.", "size", "small", "large", 1)) == "size, small to large"
    assert name_of(Answer("It hums loudly.")) == "It hums loudly"


def test_nothing_active_has_no_coverage():
    said = nulls_of(Study("m", "m", (), "measured", "", 0.3, 0, (0, 0), {}), "latent")
    assert said["silent"] is None and "coverage" not in said and said["active"] == 0


def test_factors_are_measured_where_they_are_known(monkeypatch):
    from legenda.core.dictionary import Identity
    from legenda.core.units import Units

    assert factors_of(Units(vae(), Identity(8, "latents"))) is None

    class Knows:
        """It says the factors themselves: size in unit 1, hue in unit 5."""

        name, ref, grid = "knows", "zoo:vae", (1, 1)

        def acts(self, x):
            codes = torch.from_numpy(truth.factors[Knows.at : Knows.at + len(x)]).float()
            Knows.at += len(x)
            return codes[:, None]

        def run(self, x, edit=None):
            raise NotImplementedError

    from legenda.zoo.sprites.world import COLOUR, drawn

    truth, Knows.at = drawn(COLOUR, 300, atlas_factors.SEED, 16), 0
    monkeypatch.setattr("legenda.zoo.sprites.world.drawn", lambda world, count, seed: truth)
    found = factors_of(Units(Knows(), Identity(7, "latents")), count=300)  # pyright: ignore
    assert found is not None
    by_name = {one["factor"]: one for one in found["factors"]}
    assert [one["latent"] for one in found["factors"]] == list(range(7))
    assert by_name["hue"]["gap"] > 0.5 and found["table"][0]["value"] > 5 * found["table"][0]["control"]  # fmt: skip # noqa: E501
