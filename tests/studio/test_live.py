"""Live work with the shipped models, each opened once for this file."""

import io
import re
import time

import numpy as np
import pytest
from PIL import Image

from legenda.atlas.store import Atlas
from legenda.cli.studio import latents_of
from legenda.studio.live_models import Bench, Openers
from tests.atlas.made import encoded, made
from tests.cli.latent_model import COLOUR, MAPS
from tests.studio.served import TINY, finished, opening, studio

PICTURE = {"atlas": 1}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("atlas") / "a")
    with studio(folder, opening(), models=("zoo:vq", COLOUR, MAPS, TINY)) as (client, headers):
        yield client, headers


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_sent_picture_is_held_and_not_written(live):
    client, headers = live
    sent = client.post("/api/live/pictures", content=encoded(3), headers=headers)
    assert sent.status_code == 201
    assert (sent.json()["width"], sent.json()["height"]) == (48, 48)
    upload = {"upload": sent.json()["upload"]}
    same = [
        finished(client, headers, "/api/live/begin", {"model": COLOUR, "picture": picture})
        for picture in (upload, {"atlas": 4})
    ]
    assert same[0]["result"]["values"] == same[1]["result"]["values"]


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "no picture was sent. Choose one."),
     (b"<svg onload=alert(1)/>", "the picture is not an image that legenda reads"),
     (encoded(1)[:60], "the picture cannot be decoded")],
)  # fmt: skip
def test_what_is_no_picture_is_refused(live, data, said):
    client, headers = live
    found = client.post("/api/live/pictures", content=data, headers=headers)
    assert found.status_code == 422 and found.json()["error"].startswith(said)


def test_a_small_file_that_would_be_large_is_refused_by_its_header(live):
    client, headers = live
    held = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(held, "PNG")
    assert len(held.getvalue()) < 100_000
    begun = time.monotonic()
    found = client.post("/api/live/pictures", content=held.getvalue(), headers=headers)
    assert found.status_code == 422
    assert found.json()["error"].startswith(
        "the picture has 400 megapixels; at most 32 are opened."
    )
    assert time.monotonic() - begun < 1


def test_tokens_are_searched_in_a_region(live):
    client, headers = live
    opened = finished(
        client, headers, "/api/live/open", {"tool": "tokens", "model": "zoo:vq", "picture": PICTURE}
    )["result"]
    assert opened["grid"] == [16, 16] and "cat" in opened["concepts"]
    assert opened["frame"] == [0, 0, 1, 1]
    asked = {
        "model": "zoo:vq",
        "picture": PICTURE,
        "concept": "cat",
        "cells": [34, 35],
        "steps": 10,
    }
    said = finished(client, headers, "/api/live/search", asked)
    assert said["state"] == "done", said
    html = said["result"]["html"]
    assert "What judges say, who were not optimised" in html and "Random edits: 16" in html
    assert "in 2 of 256 positions" in said["result"]["lead"]
    beyond = finished(client, headers, "/api/live/search", asked | {"cells": [256]})
    assert beyond["error"] == "the region names cell 256; zoo:vq has 256, numbered from 0."
    unknown = finished(client, headers, "/api/live/search", asked | {"concept": "unicorn"})
    assert unknown["state"] == "failed" and "unicorn" in unknown["error"]


def test_tokens_are_written_by_number(live):
    client, headers = live
    asked = {"model": "zoo:vq", "picture": PICTURE, "cells": [34, 35, 50, 51]}

    def write(**change):
        return finished(client, headers, "/api/live/write", asked | {"changes": [change]})

    put = write(do="put", token=17)["result"]
    assert put["lead"] == "squares, number 0, set 17=1, in 4 of 256 positions."
    assert "Random edits: 16" in put["html"]
    assert put["kept"] is None
    moved = write(do="steer", token=17, by=-3)["result"]
    assert "steer 17=-3" in moved["lead"] and "16 edits with other units" in moved["html"]
    taken = write(do="take", token=17)
    assert taken["error"].startswith("unit 17 is at no position of the region, so there is nothing")
    beyond = write(do="put", token=100_000)
    assert "which has 512 units, numbered from 0." in beyond["error"], beyond
    asked["cells"] = [256]
    cell = write(do="put", token=17)
    assert cell["error"] == "the region names cell 256; zoo:vq has 256, numbered from 0."


def test_a_latent_moves_what_it_is_known_to_move(live):
    client, headers = live

    def centre(value):
        moves = [{"unit": 0, "value": value}, {"unit": 4, "value": 0}]
        sent = client.post("/api/live/slide", json={"model": COLOUR, "moves": moves}, headers=headers)  # fmt: skip # noqa: E501
        assert sent.status_code == 200 and sent.headers["content-type"] == "image/png"
        light = pixels(sent.content).sum(2)
        return (light.sum(0) * np.arange(light.shape[1])).sum() / light.sum()

    left, right = centre(-2), centre(2)
    assert right - left == pytest.approx(0.4 * 32, abs=1.5), "latent 0 is where the disc is"


def test_the_same_hand_gives_the_same_picture(live):
    client, headers = live

    def slide(**asked):
        return client.post("/api/live/slide", json={"model": COLOUR, **asked}, headers=headers)

    assert slide(seed=1).content == slide(seed=1).content != slide(seed=2).content
    assert slide(picture=PICTURE).content != slide().content
    moved = slide(seed=1, moves=[{"unit": 2, "value": 1.5}])
    assert moved.content != slide(seed=1).content


def test_a_hand_is_followed_quickly_while_a_job_goes_on(live):
    client, headers = live
    asked = {"model": "zoo:scenes", "picture": PICTURE, "sentences": ["a", "b", "c"]}
    job = client.post("/api/live/explain", json=asked, headers=headers).json()["job"]
    took = []
    for step in range(12):
        begun = time.perf_counter()
        moves = [{"unit": 1, "value": step / 6}]
        client.post("/api/live/slide", json={"model": "zoo:vae", "moves": moves}, headers=headers)
        took.append(time.perf_counter() - begun)
    client.delete(f"/api/jobs/{job}", headers=headers)
    assert sorted(took)[6] < 0.5, took


def test_a_move_is_measured_beside_moves_by_lot(live):
    client, headers = live
    asked = {"model": COLOUR, "moves": [{"unit": 2, "value": 2}]}
    said = finished(client, headers, "/api/live/measure", asked)
    assert said["state"] == "done", said
    assert (
        "moves by lot" in said["result"]["html"] and "One picture (n = 1)" in said["result"]["html"]
    )
    most, lots = re.findall(r"[+-]?\d+\.\d+", said["result"]["lead"])
    assert abs(float(most)) > 2 * float(lots), "it is known to change the size of the disc"


def test_latents_on_a_grid_begin_at_a_picture(live):
    client, headers = live
    said = finished(client, headers, "/api/live/begin", {"model": MAPS})
    assert said["error"] == (
        "the latents of maps lie on a grid: no prior says where to begin. Choose a picture."
    )
    begun = finished(client, headers, "/api/live/begin", {"model": MAPS, "picture": PICTURE})
    assert begun["result"]["spatial"] is True and begun["result"]["width"] == 3
    plain, brighter = (
        pixels(client.post("/api/live/slide", headers=headers, json={
            "model": MAPS, "picture": PICTURE,
            "moves": [{"unit": 0, "value": value, "add": True}]}).content)
        for value in (0, 0.5)
    )  # fmt: skip
    assert (brighter[..., 0] - plain[..., 0]).mean() > 10
    assert (brighter[..., 1:] == plain[..., 1:]).all()


def test_names_of_latents_come_from_the_atlas(live):
    client, headers = live
    begun = finished(client, headers, "/api/live/begin", {"model": "zoo:vae"})
    assert begun["result"]["names"] == {"0": "size, small to large"}


def test_concepts_are_read_and_changed(live):
    client, headers = live
    read = finished(client, headers, "/api/live/steer", {"model": "zoo:scenes", "picture": PICTURE})
    assert read["state"] == "done", read
    assert "data-word=" in read["result"]["html"] and read["result"]["steered"] == []
    word = read["result"]["html"].partition('data-word="')[2].partition('"')[0]
    asked = {
        "model": "zoo:scenes", "picture": PICTURE, "sentences": ["a red square"],
        "changes": [f"{word.removeprefix('unit ')}:off"],
    }  # fmt: skip
    said = finished(client, headers, "/api/live/steer", asked)["result"]
    (row,) = said["steered"]
    assert "Nothing changed." not in said["html"]
    assert row["before"] != row["after"] and row["random"][0] < row["random"][1]
    assert "By lot, the control: 8 changes" in said["html"]
    wrong = finished(client, headers, "/api/live/steer", asked | {"changes": ["no change"]})
    assert wrong["state"] == "failed"
    assert wrong["error"].startswith("a change is written wheel+3, wheel-1, wheel=2, wheel:off")


@pytest.mark.parametrize(
    "path", ["explain", "search", "write", "slide", "measure", "steer", "open", "begin"]
)
def test_only_models_that_may_be_opened_are(live, path):
    client, headers = live
    asked = {
        "explain": {"picture": PICTURE, "sentences": ["a"]},
        "search": {"picture": PICTURE, "concept": "cat", "cells": [1]},
        "write": {"picture": PICTURE, "cells": [1], "changes": [{"do": "put", "token": 1}]},
        "steer": {"picture": PICTURE}, "open": {"tool": "latents"},
    }.get(path, {})  # fmt: skip
    for ref in ("os:abort", "hf:some/model", "/etc", "zoo:photos"):
        found = client.post(f"/api/live/{path}", json=asked | {"model": ref}, headers=headers)
        assert found.status_code == 409
        assert found.json()["error"] == (
            "the studio opens the shipped models of its atlas, and what it was given; "
            f"{ref!r} is neither. Start it with --model {ref} to allow that."
        )


@pytest.mark.parametrize(
    ("path", "asked"),
    [("explain", {"sentences": []}), ("explain", {"sentences": ["x" * 301]}),
     ("explain", {"sentences": ["a"] * 9}), ("explain", {"sentences": [""]}),
     ("explain", {"sentences": ["a"], "picture": {}}),
     ("explain", {"sentences": ["a"], "picture": {"atlas": 1, "upload": "x"}}),
     ("explain", {"sentences": ["a"], "path": "/etc/passwd"}),
     ("search", {"concept": "cat", "cells": []}), ("search", {"concept": "cat", "cells": [-1]}),
     ("search", {"concept": "cat", "cells": [1], "steps": 0}),
     ("search", {"concept": "cat", "cells": [1], "steps": 10**9}),
     ("write", {"cells": [1], "changes": []}),
     ("write", {"cells": [1], "changes": [{"do": "erase", "token": 1}]}),
     ("write", {"cells": [1], "changes": [{"do": "put", "token": -1}]}),
     ("write", {"cells": [1], "changes": [{"do": "steer", "token": 1, "by": 101}]}),
     ("slide", {"moves": [{"unit": 0, "value": 1e9}]}),
     ("slide", {"moves": [{"unit": -1, "value": 0}]}),
     ("slide", {"moves": [{"unit": 99, "value": 0}]}), ("steer", {"changes": ["a"] * 9})],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_any_work(live, path, asked):
    client, headers = live
    model = {"search": "zoo:vq", "write": "zoo:vq", "slide": COLOUR}.get(path, "zoo:scenes")
    body = {"model": model, **({} if path == "slide" else {"picture": PICTURE}), **asked}
    found = client.post(f"/api/live/{path}", json=body, headers=headers)
    assert found.status_code == 422, found.text
    assert set(found.json()) == {"error"}


def test_pictures_that_are_not_there(live):
    client, headers = live
    for picture, said in (
        ({"atlas": 999}, "there is no picture 999 in this atlas."),
        ({"upload": "abc"}, "the picture that was sent is not held any more. Send it again."),
    ):
        asked = {"model": "zoo:scenes", "picture": picture, "sentences": ["a"]}
        found = client.post("/api/live/explain", json=asked, headers=headers)
        assert (found.status_code, found.json()) == (409, {"error": said})


def test_work_is_called_off(live):
    client, headers = live
    asked = {"model": "zoo:vq", "picture": PICTURE, "concept": "cat", "cells": list(range(64)), "steps": 2000}  # fmt: skip # noqa: E501
    job = client.post("/api/live/search", json=asked, headers=headers).json()["job"]
    for _ in range(200):
        if client.get(f"/api/jobs/{job}").json().get("what") == "searching":
            break
        time.sleep(0.05)
    assert client.delete(f"/api/jobs/{job}", headers=headers).status_code == 200
    for _ in range(100):
        if client.get(f"/api/jobs/{job}").json()["state"] == "cancelled":
            break
        time.sleep(0.05)
    assert client.get(f"/api/jobs/{job}").json() == {"state": "cancelled"}


def test_maps_without_scores_are_shown_and_nothing_is_kept(live, monkeypatch):
    from functools import partial

    from legenda.agreement import explanations

    client, headers = live
    monkeypatch.setattr("legenda.studio.live_maps.explanations", partial(explanations, score=False))
    asked = {"model": TINY, "picture": PICTURE, "sentences": ["a cat", "a dog"]}
    said = finished(client, headers, "/api/live/explain", asked)
    assert said["state"] == "done", said
    assert said["result"]["kept"] is None
    assert [pair["sentence"] for pair in said["result"]["pairs"]] == ["a cat", "a dog"]
    assert said["result"]["html"].count('<article class="pair') == 2


def test_maps_are_called_off_between_passes_of_the_model(live):
    from legenda.studio.jobs import Cancelled
    from legenda.studio.live_asked import Explain
    from legenda.studio.live_maps import explained

    passes = []

    def report(what, done, total):
        passes.append((what, done, total))
        if len(passes) > 5:
            raise Cancelled

    client, _ = live
    asked = Explain(model="zoo:scenes", picture=PICTURE, sentences=["a cat", "a dog"])
    with pytest.raises(Cancelled):
        explained(client.app.studio, asked, report)
    assert passes == [("explaining", 0, 2)] * 6, "it is heard within the first pair"


def test_who_is_heard_answers_the_same():
    from dataclasses import replace

    import torch

    from legenda.studio.live_heard import Heard

    told = []
    dual = opening().agreement("zoo:scenes", "cpu")
    heard = replace(dual, image=Heard(dual.image, lambda: told.append(1)))
    x = dual.pixels([Image.open(io.BytesIO(encoded(1)))])
    assert torch.equal(dual.embed_images(x), heard.embed_images(x))
    prefix, rows = heard.image.prefix(x), torch.tensor([0])
    told.clear()
    assert torch.equal(prefix.resume(prefix.acts, rows), dual.image.prefix(x).resume(prefix.acts, rows))  # fmt: skip # noqa: E501
    assert told == [1], "each pass is told, and nothing else"
    assert heard.image.ref == dual.image.ref
    with pytest.raises(AttributeError):
        heard.image.nothing  # noqa: B018


@pytest.mark.slow
def test_every_result_is_kept_where_the_atlas_may_be_changed(tmp_path):
    folder = made(tmp_path / "a")
    with studio(folder, opening(), edit=True, models=(COLOUR, TINY, "zoo:vq")) as (client, headers):

        def kept(path, asked):
            return finished(client, headers, f"/api/live/{path}", asked)["result"]["kept"]

        sent = client.post("/api/live/pictures", content=encoded(77), headers=headers).json()
        upload = {"upload": sent["upload"]}
        asked = {"model": TINY, "picture": upload, "sentences": ["a red <b>square</b>"]}
        said = finished(client, headers, "/api/live/explain", asked)["result"]
        assert said["html"].count('<article class="pair') == 1
        assert "<rect" in said["html"] and "How far to trust the map" in said["html"]
        assert -1 <= said["pairs"][0]["cosine"] <= 1
        for page in (said["html"], client.get(said["kept"]).text):
            assert "<b>square" not in page and "&lt;b&gt;square" in page
        asked = {"model": COLOUR, "moves": [{"unit": 2, "value": 2}]}
        assert (
            finished(client, headers, "/api/live/measure", asked)["result"]["kept"] == "/findings"
        )
        asked = {"model": "zoo:vq", "picture": upload, "concept": "cat", "cells": [1], "steps": 2}
        assert kept("search", asked) == "/findings"
        asked = {"model": "zoo:scenes", "picture": PICTURE, "changes": ["0+3"], "sentences": ["a"]}
        assert kept("steer", asked) == "/findings"
        assert client.get("/findings").status_code == 200
    with Atlas(folder) as atlas:
        kept = atlas.all(
            "SELECT x.id, x.facts, e.facts AS held, e.id AS evidence FROM explanations x JOIN "
            "studies s ON s.id = x.study JOIN evidence e ON e.id = x.evidence WHERE s.kind = 'live'"
        )
        assert len(kept) == 1 and '"sentence":"a red <b>square</b>"' in kept[0]["facts"]
        arrays = atlas.arrays(kept[0]["evidence"])
        assert arrays["map"].ndim == 2 and len(arrays["words"]) >= 3
        assert '"words":["a","red",' in kept[0]["held"]
        scores = atlas.all("SELECT * FROM scores WHERE explanation = ?", kept[0]["id"])
        assert len(scores) == 3 and all(one["control"] is not None for one in scores)
        edits = atlas.all("SELECT title, content FROM results WHERE kind = 'edit' ORDER BY id")
        assert [row["title"] for row in edits] == ["set 2=+2", "toward cat", "0+3"]
        assert all('"control"' in row["content"] for row in edits)
        assert atlas.value("SELECT count(*) FROM studies WHERE kind = 'live'") == 4


def test_the_page_offers_what_there_is(live):
    client, _ = live
    text = client.get("/live").text
    assert text.count('<input type="radio" name="picture"') == 6
    assert f'value="{COLOUR}"' in text and 'value="zoo:scenes"' in text
    assert "Nothing is written: start the studio with <code>--edit</code>" in text


def test_shipped_models_of_an_atlas_are_offered_and_those_of_strangers_are_not(tmp_path):
    from legenda.atlas.entries import ModelEntry
    from legenda.atlas.write import put_model

    with Atlas(made(tmp_path / "a"), write=True) as atlas:
        put_model(atlas, ModelEntry("os:abort", "x"))
        put_model(atlas, ModelEntry("hf:some/model", "x"))
        bench = Bench(atlas, ("my.models:make",), "cpu", Openers())
        assert bench.offered("agreement") == ["zoo:scenes", "my.models:make"]
        assert bench.offered("latents") == ["zoo:vae", "my.models:make"]
        put_model(atlas, ModelEntry("zoo:photos", "towers alone"))
        assert bench.offered("agreement") == ["zoo:scenes", "zoo:photos", "my.models:make"]
        assert bench.offered("latents") == ["zoo:vae", "my.models:make"]


def test_a_model_without_latents_is_refused_in_a_sentence():
    from legenda.errors import Unsupported

    with pytest.raises(Unsupported) as refused:
        latents_of("zoo:scenes", "cpu")
    assert str(refused.value) == (
        "moving latents needs an autoencoder with latents; zoo:scenes has none. Try zoo:vae."
    )
