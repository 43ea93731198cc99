import pytest

from legenda.atlas.store import Atlas
from legenda.show.site import VIEWS, assets
from tests.atlas.made import made
from tests.studio.served import studio

PAGES = ("/", "/overview", "/units", "/unit/4", "/pictures", "/picture/1", "/tree", "/graph",
         "/curves", "/findings", "/compare", "/live")  # fmt: skip
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("atlas") / "squares.atlas")


@pytest.fixture(scope="module")
def client(folder):
    with studio(folder) as (client, _):
        yield client


def test_every_view_has_its_page():
    assert {page.split("/")[1] for page in PAGES if page != "/"} == {*VIEWS, "live"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole(client, page):
    found = client.get(page)
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert found.headers["cache-control"] == "no-cache"
    assert found.text.startswith("<!doctype html>") and found.text.rstrip().endswith("</html>")
    assert found.text.count("<h1") == 1
    assert 'data-mode="studio"' in found.text
    assert 'href="/live"' in found.text, "live work is in the navigation"


def test_a_picture_leads_to_work_on_it(client):
    assert (
        '<a href="/live?picture=3">Work on this picture live</a>' in client.get("/picture/3").text
    )


def test_files_of_pages_are_served(client):
    for name in [*assets(), "live.js", "live.css"]:
        found = client.get(f"/static/{name}")
        assert found.status_code == 200 and found.content, name
        kind = "text/css" if name.endswith("css") else "text/javascript"
        assert found.headers["content-type"].startswith(kind)


def test_what_stands_in_the_address_is_asked_of_the_view(client):
    assert "cat" in client.get("/units", params={"q": "cat"}).text
    named = client.get("/units", params={"state": "named"}).text
    assert "latent 0" in named and "latent 2" not in named
    assert client.get("/units", params={"unheard": "of", "title": "x"}).status_code == 200


@pytest.mark.parametrize(
    ("page", "status", "said"),
    [("/unit/999", 404, "There is no unit 999 in this atlas."),
     ("/picture/999", 404, "There is no picture 999 in this atlas."),
     ("/unit/9223372036854775807", 404, "There is no unit 9223372036854775807 in this atlas."),
     ("/nothing", 404, "There is nothing at this address."),
     ("/static/nothing.js", 404, "There is nothing at this address."),
     ("/units?certainty=high", 422, "the least certainty of a search is a number; it got "),
     ("/units?state=odd", 422, "units are searched by state: ")],
)  # fmt: skip
def test_what_cannot_be_shown_is_a_page_that_says_why(client, page, status, said):
    found = client.get(page, headers=HTML)
    assert found.status_code == status
    assert said in found.text and "<h1>" in found.text
    plain = client.get(page, headers={"accept": "application/json"})
    assert plain.status_code == status and plain.json()["error"].startswith(said)


@pytest.mark.parametrize("page", ["/unit/x", "/unit/-1", "/unit/1.5", "/unit/9223372036854775808", "/unit/%00"])  # fmt: skip # noqa: E501
def test_a_number_that_is_none_is_no_page(client, page):
    found = client.get(page)
    assert found.status_code == 422 and found.json()["error"].startswith("number cannot be used: ")


@pytest.mark.parametrize(
    "path",
    ["/static/../atlas.db", "/static/..%2fatlas.db", "/static/%2e%2e/%2e%2e/atlas.db",
     "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/....//atlas.db", "/atlas.db",
     "/media/picture/../../atlas.db", "/media/picture/%2e%2e%2fatlas.db",
     "/../etc/passwd", "/%2e%2e/x",
     "/media/evidence/1/..%2f..%2fatlas.db", "/media/evidence/1/%2fetc%2fpasswd",
     "/static/%5c..%5catlas.db", "/static/atlas.css%00", "/tensors", "//etc/passwd"],
)  # fmt: skip
def test_no_path_leads_out_or_to_the_database(client, path):
    request = client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    found = client.send(request)
    assert found.status_code in (404, 422), (path, found.status_code)
    assert b"SQLite" not in found.content and b"root:" not in found.content


def test_a_mistake_of_ours_is_said_and_the_next_page_is_shown(tmp_path, monkeypatch):
    def broken(atlas):
        raise ZeroDivisionError

    with studio(made(tmp_path / "a"), raises=False) as (client, _):
        monkeypatch.setattr("legenda.show.views.tree.tree", broken)
        found = client.get("/tree")
        assert found.status_code == 500
        assert found.json() == {
            "error": "Something went wrong inside legenda (ZeroDivisionError); the terminal says "
            "where."
        }
        assert found.headers["content-security-policy"]
        assert found.headers["connection"] == "close", "the server hangs up after a mistake"
        page = client.get("/tree", headers=HTML)
        assert page.status_code == 500 and page.text.startswith("<!doctype html>")
        assert "<p>Something went wrong inside legenda (ZeroDivisionError);" in page.text
        assert client.get("/graph").status_code == 200


@pytest.mark.parametrize("spoil", ["scribble", "cut", "empty"])
def test_a_database_that_is_damaged_meanwhile_is_said_by_every_page(tmp_path, spoil):
    folder = made(tmp_path / "a")
    file = folder / "atlas.db"
    with studio(folder) as (client, _):
        assert client.get("/units").status_code == 200
        with file.open("r+b") as base:
            if spoil == "scribble":
                base.seek(4096)
                base.write(b"\x5a" * (file.stat().st_size - 4096))
            base.truncate({"scribble": file.stat().st_size, "cut": 20_000, "empty": 0}[spoil])
        for page in PAGES:
            found = client.get(page, headers=HTML)
            assert found.status_code == 422, page
            assert found.text.count("<h1>This cannot be shown</h1>") == 1
            assert f"<p>{file} is damaged" in found.text
        assert client.get("/nothing", headers=HTML).status_code == 404
        assert client.get("/static/page.css").status_code == 200
        assert f"{file} is damaged" in client.get("/api/overview").json()["error"]


@pytest.mark.parametrize("after", ["moved", "another"])
def test_an_atlas_that_is_gone_is_said_and_not_written_in_vain(tmp_path, after):
    folder = made(tmp_path / "a")
    with studio(folder, edit=True) as (client, headers):
        assert client.get("/unit/5").status_code == 200
        folder.rename(tmp_path / "b")
        if after == "another":
            made(folder, seed=1)
        said = f"{folder} is gone, or another atlas stands in its place. Start the studio again."
        page = client.get("/unit/5", headers=HTML)
        assert page.status_code == 404 and said in page.text
        assert client.get("/api/units/5").json() == {"error": said}
        named = client.put("/api/units/5/name", json={"name": "lost"}, headers=headers)
        assert (named.status_code, named.json()) == (409, {"error": said})
        assert client.get("/static/page.css").status_code == 200
    for where in (folder, tmp_path / "b"):
        if where.exists():
            with Atlas(where) as atlas:
                assert atlas.value("SELECT count(*) FROM corrections") == 0


def test_a_head_is_that_of_the_page(client):
    for path in ("/units", "/media/picture/1", "/static/atlas.css", "/api/overview", "/nothing"):
        head, whole = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers == whole.headers


def test_two_atlases_are_compared(tmp_path):
    folder, other = made(tmp_path / "a"), made(tmp_path / "b", seed=1)
    with studio(folder, against=Atlas(other)) as (client, _):
        found = client.get("/compare")
        assert found.status_code == 200 and 'href="/compare"' in found.text
        assert "matryoshka" in found.text
        assert client.get("/compare?other=/etc").status_code == 200


def test_only_reading_is_asked_of_pages(client):
    found = client.options("/overview")
    assert found.status_code == 405
    assert found.json() == {"error": "This address does not take OPTIONS."}


def test_hostile_names_stay_words(client):
    for page in PAGES:
        assert "<script>alert" not in client.get(page).text, page


def test_nothing_is_written_while_one_reads(tmp_path):
    folder = made(tmp_path / "a")

    def content():
        files = (p for p in sorted(folder.rglob("*")) if p.is_file())
        # SQLite keeps an index of its log beside the file while it is read; the log stays empty
        return {p: p.read_bytes() for p in files if not p.name.endswith("-shm")}

    before = content()
    with studio(folder) as (client, headers):
        for page in PAGES:
            client.get(page)
        client.put("/api/units/4/name", json={"name": "mine"}, headers=headers)
        client.post("/api/live/pictures", content=client.get("/media/picture/1").content, headers=headers)  # fmt: skip # noqa: E501
    after = content()
    assert after.pop(folder / "atlas.db-wal", b"") == b""
    assert after == before


def test_a_new_name_is_seen_at_once(tmp_path):
    folder = made(tmp_path / "a")
    with studio(folder) as (client, _), Atlas(folder, write=True) as atlas:
        from legenda.atlas.corrections import rename

        assert "tabby" not in client.get("/unit/5").text
        rename(atlas, 5, "tabby", "a person")
        assert "tabby" in client.get("/unit/5").text
