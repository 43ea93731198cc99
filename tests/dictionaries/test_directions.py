import json
import re

import pytest
import torch

from legenda.core.dictionary import Dictionary
from legenda.core.units import Units
from legenda.dictionaries.directions import (
    Directions,
    joined,
    open_directions,
    pooled,
    save_directions,
)
from legenda.errors import BadInput, Missing, Refused, ShapeError
from legenda.train.loop import keep
from tests import toys
from tests.contracts import check_dictionary, check_lift
from tests.dictionaries.named import lot_of


def some(k=3, d=6, seed=0, **more):
    lot = lot_of(seed)
    return Directions(
        torch.randn(k, d, generator=lot),
        [f"d{i}" for i in range(k)],
        torch.randn(d, generator=lot),
        0.5 + torch.rand(k, generator=lot),
        **more,
    )


def acts(seed=1):
    return torch.randn(2, 4, 6, generator=lot_of(seed))


@pytest.mark.parametrize("k", [1, 3, 9])
def test_they_keep_the_contract_of_a_dictionary(k):
    directions = some(k)
    assert isinstance(directions, Dictionary)
    check_dictionary(directions, acts())
    check_lift(Units(toys.ToyEncoder(), directions), toys.pixels())
    codes = directions.encode(acts())
    assert torch.equal(directions.encode(acts()[1:]).dense(), codes.dense()[1:])


def test_codes_and_what_is_written_are_equations_1_and_2():
    directions, x = some(), acts()
    codes = directions.encode(x).dense()
    made = directions.decode(directions.encode(x))
    for b in range(2):
        for n in range(4):
            written = directions.offset.double().clone()
            for i in range(3):
                u = directions.atoms[i].double() / directions.atoms[i].double().norm()
                z = float((x[b, n].double() - directions.offset) @ u) / float(directions.scale[i])
                assert float(codes[b, n, i]) == pytest.approx(z, abs=1e-5)
                written += z * float(directions.scale[i]) * u
            assert torch.allclose(made[b, n].double(), written, atol=1e-5)


def test_orthonormal_directions_project():
    turn = torch.linalg.qr(torch.randn(6, 6, generator=lot_of(2))).Q[:3]
    directions = Directions(5 * turn, ["a", "b", "c"], torch.ones(6), torch.tensor([2.0, 1, 0.5]))
    once = directions.decode(directions.encode(acts()))
    assert torch.allclose(directions.decode(directions.encode(once)), once, atol=1e-5)
    assert torch.allclose((acts() - once) @ turn.T, torch.zeros(2, 4, 3), atol=1e-5)


def test_a_direction_reads_the_same_whoever_stands_beside_it():
    directions = some(5)
    alone = directions.only("d3")
    assert torch.allclose(alone.encode(acts()).of(0), directions.encode(acts()).of(3), atol=1e-6)


def test_a_unit_that_is_set_reads_what_it_was_set_to():
    directions = some(4)
    model = toys.ToyEncoder()
    units, before = Units(model, directions), acts()

    def put(codes):
        weight = codes.weight.clone()
        weight[..., 2] = 1.75
        return type(codes)(codes.index, weight, codes.size)

    after = units.lift(put)(before)
    assert torch.allclose(directions.encode(after).of(2), torch.full((2, 4), 1.75), atol=1e-5)
    moved = after - before
    along = directions.lines[2]
    assert torch.allclose(moved, (moved @ along)[..., None] * along, atol=1e-5), (
        "nothing else moves"
    )


def test_length_of_atoms_does_not_matter_and_scale_does():
    atoms = torch.randn(2, 6, generator=lot_of(3))
    one, ten = Directions(atoms, ["a", "b"]), Directions(10 * atoms, ["a", "b"])
    wide = Directions(atoms, ["a", "b"], scale=torch.full((2,), 4.0))
    codes = one.encode(acts()).weight
    assert torch.allclose(ten.encode(acts()).weight, codes, atol=1e-6)
    assert torch.allclose(wide.encode(acts()).weight, codes / 4, atol=1e-6)
    assert torch.allclose(
        wide.decode(wide.encode(acts())), one.decode(one.encode(acts())), atol=1e-5
    )


def test_what_is_saved_is_opened_again(tmp_path):
    directions = some(made={"learner": "ClassMeanDirections", "seed": 3}, name="faces")
    path = save_directions(tmp_path / "kept", directions)
    assert path.name == "directions.safetensors"
    again = open_directions(tmp_path / "kept", 6)
    assert again.names == directions.names and again.name == "faces"
    assert again.made == {"learner": "ClassMeanDirections", "seed": 3}
    assert torch.allclose(again.atoms, directions.atoms, atol=1e-6)
    assert torch.equal(again.offset, directions.offset)
    assert torch.allclose(again.encode(acts()).weight, directions.encode(acts()).weight, atol=1e-5)
    second = save_directions(tmp_path / "twice.safetensors", directions)
    assert second.read_bytes() == path.read_bytes(), "the same directions are the same file"


def test_damaged_foreign_and_missing_files_are_refused(tmp_path):
    path = save_directions(tmp_path / "d.safetensors", some())
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + b"\x01\x02\x03")
    with pytest.raises(Refused, match="is damaged: its content is not what was written"):
        open_directions(path)
    path.write_bytes(whole[:20])
    with pytest.raises(Refused, match="is no safetensors file, or a damaged one"):
        open_directions(path)
    path.write_bytes(whole)
    with pytest.raises(Refused, match="holds directions of width 6; the activations have width 7"):
        open_directions(path, 7)
    keep(path, {"atoms": torch.eye(2)}, {})
    with pytest.raises(Refused, match="holds no directions of format 1"):
        open_directions(path)
    with pytest.raises(Missing, match="is not there. Give a file of directions, or its folder"):
        open_directions(tmp_path / "nowhere")


def test_a_record_without_names_is_refused(tmp_path):
    from legenda.dictionaries.storage import digest_of

    tensors = {"atoms": torch.eye(2), "offset": torch.zeros(2), "scale": torch.ones(2)}
    text = json.dumps({"format": 1, "name": "x", "names": ["one"], "made": {}})
    path = tmp_path / "d.safetensors"
    keep(path, tensors, {"directions": text, "sha256": digest_of(text, tensors)})
    with pytest.raises(Refused, match="does not describe directions that legenda can open"):
        open_directions(path)


def test_what_json_cannot_hold_is_refused(tmp_path):
    for made in ({"share": float("nan")}, {"how": object()}):
        with pytest.raises(BadInput, match="^how directions were made is kept as JSON; `made` is"):
            save_directions(tmp_path, some(made=made))
    assert not list(tmp_path.iterdir())


def test_directions_of_one_offset_are_joined():
    one, other = some(2), some(3, seed=4)
    other = Directions(other.atoms, ["x", "y", "z"], one.offset, other.scale)
    both = joined([one, other])
    assert both.names == ("d0", "d1", "x", "y", "z")
    assert torch.allclose(both.encode(acts()).of(3), other.encode(acts()).of(1), atol=1e-6)
    with pytest.raises(BadInput, match="^directions are joined where all have one offset"):
        joined([one, some(2, seed=5)])


def test_pictures_are_pooled_over_their_positions():
    x = acts()
    assert torch.allclose(pooled(x), torch.stack([picture.double().mean(0) for picture in x]))
    x[1, 2, 3] = torch.nan
    with pytest.raises(BadInput, match="1 of 2 pictures hold NaN or infinity. Check the model.$"):
        pooled(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Directions(torch.eye(2, 3), ["a"]),
            "Directions need atoms (k d) and a name for each; they got (2, 3) and 1 names.",
        ),
        (
            lambda: Directions(torch.eye(2), ["a", "a"]),
            "Directions need names that differ; they got a, a.",
        ),
        (
            lambda: Directions(torch.tensor([[1.0, 0], [0, 0]]), ["a", "b"]),
            "Directions point somewhere; b of length 0 or not finite do not. Leave them out.",
        ),
        (
            lambda: Directions(torch.eye(2), ["a", "b"], scale=torch.tensor([1.0, 0])),
            "Directions need a finite offset and scales above 0. Check the activations that they "
            "were found in.",
        ),
        (
            lambda: some().encode(torch.zeros(1, 1, 5)),
            "directions has directions of width 6; the acts have width 5. Use directions that "
            "were found at this site.",
        ),
        (
            lambda: some().only("d9"),
            "directions holds d0, d1, d2; there is no d9.",
        ),
    ],
)
def test_what_they_refuse(call, message):
    with pytest.raises((BadInput, ShapeError), match=f"^{re.escape(message)}$"):
        call()
