from dataclasses import replace

import pytest
import torch

from legenda.atlas.entries import UnitEntry
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import put_model, put_set, put_units
from legenda.core.units import Units
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.tasks.atlas_models import model_entry, set_entry
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.union_moved import Recipe, gather_moved
from tests.tasks import palette
from tests.tasks.atlas_world import counted, digest_at
from tests.tasks.palette import BLUE, COLOURS, RED, YELLOW

BLACK, WHITE = 0, 1
ADDED = LatentSettings(frames=5, rows=8, per_look=2, fresh=4, pool=24)
SMALL = replace(ADDED, per_look=1, values=(0.0, 0.5, 0.75, 1.0))


DARK_TWICE = ("to dark", "to dark", "to bright", "to bright")


def tokens():
    return Units(palette.model(), palette.model().codebook)


def pictures(count=32, colours=(120, 136)):
    """Grey pictures, all a little different, as the model takes them."""
    lot = torch.Generator().manual_seed(0)
    grey = torch.randint(*colours, (count, 1, 4, 4), generator=lot).expand(-1, 3, -1, -1)
    return (grey.repeat_interleave(4, 2).repeat_interleave(4, 3) / 127.5 - 1).float()


def test_planted_tokens_are_told_of_by_their_colours(tmp_path):
    with Atlas(tmp_path, write=True) as atlas:
        study = gather_moved(
            atlas, tokens(), pictures(), only=[BLACK, WHITE, RED, BLUE, YELLOW], settings=SMALL
        )
        rows = {r["number"]: r for r in atlas.all("SELECT * FROM units")}
        assert len(rows) == len(COLOURS)
        for token, ends in zip((BLACK, BLUE, WHITE, YELLOW), DARK_TWICE, strict=True):
            assert rows[token]["state"] == "named"
            assert rows[token]["name"].startswith("brightness")
            assert rows[token]["name"].endswith(ends)
        assert rows[RED]["name"] == "colour of the background, bluish to reddish"
        assert rows[WHITE]["low"] < rows[WHITE]["certainty"] < rows[WHITE]["high"]
        assert "moves" in loaded(rows[RED]["facts"])
        one = atlas.one("SELECT * FROM explanations WHERE unit = ?", rows[RED]["id"])
        assert one["by"] == "TokenDoses"
        sheet = atlas.arrays(one["evidence"])["images"]
        assert sheet.dtype == torch.uint8
        red = torch.tensor(COLOURS[RED])
        assert torch.equal(sheet[0, -1].flatten(1), red[:, None].expand(-1, 256).to(torch.uint8))
        found = loaded(atlas.value("SELECT content FROM results WHERE study = ?", study))
        assert found["kind"] == "moved token"
        assert found["silent"] > 0.9


def test_planted_a_concept_that_is_added_is_told_of_by_what_it_adds(tmp_path):
    atoms = torch.tensor([[1.0, -0.5, -0.5], [1.0, 1.0, 1.0]])
    made = LinearDictionary(atoms, torch.zeros(3), Projection(2, signed=False), "concepts")
    x = pictures(colours=(90, 110))
    x[:, 0] += 0.3 * torch.rand(len(x), 1, 1, generator=torch.Generator().manual_seed(1))
    x[16:] += 0.5
    with Atlas(tmp_path, write=True) as atlas:
        gather_moved(atlas, Units(SmoothPalette(), made), x, settings=ADDED)
        red, bright = atlas.all("SELECT * FROM units ORDER BY number")
        assert red["state"] == bright["state"] == "named"
        assert "red" in red["name"] or red["name"] == "saturation, grey to colourful"
        assert bright["name"].startswith("brightness")
        assert bright["name"].endswith("to bright")
        by = {r["by"] for r in atlas.all("SELECT by FROM explanations")}
        assert by == {"SteeringFrames"}
        assert atlas.value("SELECT kind FROM sets") == "concept"


class SmoothPalette:
    """The palette without quantisation: cells decode to any colour."""

    name, ref, grid = "smooth", "smooth", (4, 4)

    def acts(self, x):
        return torch.nn.functional.avg_pool2d(x, 4).flatten(2).mT

    def decode(self, acts):
        cells = acts.mT.unflatten(2, (4, 4))
        return torch.nn.functional.interpolate(cells, scale_factor=4).clamp(-1, 1)

    def visible(self, x):
        return (x + 1) / 2

    def run(self, x, edit=None):
        raise NotImplementedError


def test_a_token_that_has_a_name_keeps_it_and_gets_what_it_does(tmp_path):
    vq = palette.model()
    with Atlas(tmp_path, write=True) as atlas:
        set_id = put_set(
            atlas, set_entry(put_model(atlas, model_entry(vq, "tokens")), vq.codebook, "token")
        )
        put_units(atlas, [
            UnitEntry(set_id, WHITE, "token 1", "named", "snow", certainty=0.9, facts={"a": 1}),
            UnitEntry(set_id, BLACK, "token 0", "abstained", "", "no word"),
        ])  # fmt: skip
        gather_moved(atlas, tokens(), pictures(), only=[BLACK, WHITE], settings=SMALL)
        rows = {r["number"]: r for r in atlas.all("SELECT * FROM units")}
        assert (rows[WHITE]["name"], rows[WHITE]["certainty"]) == ("snow", 0.9)
        facts = loaded(rows[WHITE]["facts"])
        assert facts["a"] == 1
        assert facts["moves"].startswith("Brightness of the background goes")
        assert rows[BLACK]["state"] == "named"


def test_a_recipe_is_followed_only_where_the_atlas_lacks_its_study(tmp_path):
    calls = []

    def fit():
        calls.append(1)
        return palette.model().codebook

    recipe = Recipe(palette.model(), fit, {"what": "the codebook itself"})
    for place in ("a", "b"):
        with Atlas(tmp_path / place, write=True) as atlas:
            one = gather_moved(atlas, recipe, pictures(), only=[RED], settings=SMALL, kind="token")
            assert gather_moved(atlas, recipe, pictures(), only=[RED], settings=SMALL, kind="token") == one  # fmt: skip # noqa: E501
            assert counted(atlas, "studies") == 1
    assert len(calls) == 2
    assert digest_at(tmp_path / "a") == digest_at(tmp_path / "b")


def test_units_of_models_that_show_nothing_are_refused(tmp_path):
    from legenda.errors import Unsupported

    class Blind:
        name, ref, grid = "blind", "blind", (4, 4)

        def acts(self, x):
            return x.flatten(2).mT

        def run(self, x, edit=None):
            raise NotImplementedError

    units = Units(
        Blind(), LinearDictionary(torch.eye(3), torch.zeros(3), Projection(3, False), "d")
    )
    with Atlas(tmp_path, write=True) as atlas, pytest.raises(Unsupported) as caught:
        gather_moved(atlas, units, pictures(), settings=ADDED)
    assert str(caught.value) == (
        "a study of latents needs a model that decodes; blind has none. Its units can be surveyed: "
        "see `legenda survey` and `legenda concepts`."
    )
    with Atlas(tmp_path) as atlas:
        assert counted(atlas, "studies") == 0
