import io

import pytest
from PIL import Image

from legenda.atlas.entries import PictureEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_picture
from tests.atlas.made import encoded, made
from tests.studio.served import studio


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("atlas") / "a")
    with Atlas(folder, write=True) as atlas:
        for kind in ("image/svg+xml", "text/html"):
            script = f"<svg onload=alert(1)>{kind}</svg>".encode()
            put_picture(atlas, PictureEntry("x", "y", 1, 1, kind, script))
    return folder


@pytest.fixture(scope="module")
def client(folder):
    with studio(folder) as (client, _):
        yield client


def evidence(folder, kind):
    with Atlas(folder) as atlas:
        return atlas.value("SELECT id FROM evidence WHERE kind = ?", kind)


def test_a_picture_is_given_as_it_is_kept(client):
    found = client.get("/media/picture/1")
    assert found.status_code == 200 and found.content == encoded(0)
    assert found.headers["content-type"] == "image/webp"
    assert found.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(("kind", "what"), [("sheet", "sheet"), ("exemplars", "map-0"), ("exemplars", "map-3"), ("attribution", "map")])  # fmt: skip # noqa: E501
def test_evidence_is_drawn(client, folder, kind, what):
    found = client.get(f"/media/evidence/{evidence(folder, kind)}/{what}")
    assert found.status_code == 200
    image = Image.open(io.BytesIO(found.content))
    assert min(image.size) >= 6
    assert image.mode == "RGBA" or what == "sheet", "a map lets its picture be seen"


@pytest.mark.parametrize("path", ["/media/picture/1", "/media/evidence/1/sheet", "/static/atlas.css"])  # fmt: skip # noqa: E501
def test_what_has_not_changed_is_not_sent_again(client, path):
    first = client.get(path)
    tag = first.headers["etag"]
    again = client.get(path, headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for held in (f"W/{tag}", f'"other", {tag}', f'{tag}  ,"other"', "*"):
        assert client.get(path, headers={"if-none-match": held}).status_code == 304, held
    for held in ('"other"', tag[:-2] + '"', "", "x" * 5000):
        other = client.get(path, headers={"if-none-match": held})
        assert (other.status_code, other.content) == (200, first.content), held


def test_a_picture_given_anew_has_another_tag(tmp_path):
    tags = set()
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        with Atlas(folder, write=True) as atlas:
            put_picture(atlas, PictureEntry("x", "y", 48, 48, "image/webp", encoded(seed)))
        with studio(folder) as (client, _):
            tags.add(client.get("/media/picture/1").headers["etag"])
    assert len(tags) == 2


@pytest.mark.parametrize("number", [7, 8])
def test_what_could_hold_a_script_is_not_given_out(client, number):
    found = client.get(f"/media/picture/{number}")
    assert found.status_code == 404
    assert found.json() == {
        "error": f"picture/{number} is kept as something that is no picture, and is not given out."
    }


@pytest.mark.parametrize(
    ("path", "said"),
    [("/media/picture/999", "there is no picture 999 in this atlas."),
     ("/media/evidence/999/sheet", "there is no evidence 999 in this atlas."),
     ("/media/evidence/1/map-0", "evidence of the kind sheet has no 'map-0'."),
     ("/media/evidence/1/else", "evidence of the kind sheet has no 'else'.")],
)  # fmt: skip
def test_what_is_not_there_is_said(client, path, said):
    found = client.get(path)
    assert (found.status_code, found.json()) == (404, {"error": said})


def test_a_damaged_shard_is_said_and_the_rest_is_given(tmp_path):
    folder = made(tmp_path / "a")
    with Atlas(folder) as atlas:
        row = atlas.one("SELECT e.id, s.digest FROM evidence e JOIN shards s ON s.id = e.shard")
    assert row is not None
    shard = next((folder / "tensors").rglob(f"{row['digest']}.safetensors"))
    shard.write_bytes(shard.read_bytes()[:100])
    with studio(folder) as (client, _):
        found = client.get(f"/media/evidence/{row['id']}/sheet")
        assert found.status_code == 404 and "is damaged" in found.json()["error"]
        shard.unlink()
        found = client.get(f"/media/evidence/{row['id']}/sheet")
        assert found.status_code == 404 and "is not there" in found.json()["error"]
        assert client.get("/media/picture/1").status_code == 200
