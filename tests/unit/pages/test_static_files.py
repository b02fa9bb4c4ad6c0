"""Static files of the pages: the style, the icon and the vendored script."""

import gzip
import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from order_pages.static_files import FOR_EVER, MEDIA_TYPES, SCRIPT, STATIC, STYLE, address_of, static_file

ROOT = Path(__file__).parents[3]
STATIC_FILES = files("order_pages") / "static"
MAX_STYLE_BYTES = 10 * 1024
MAX_SCRIPT_BYTES = 16 * 1024
PLAIN = Headers({})


def named(file: str) -> str:
    return address_of(file).removeprefix(STATIC)


@pytest.mark.parametrize("file", MEDIA_TYPES)
def test_a_file_is_kept_for_ever_under_the_name_with_its_hash(file: str) -> None:
    response = static_file(named(file), PLAIN)
    assert response is not None
    assert response.body == (STATIC_FILES / file).read_bytes()
    assert hashlib.sha256(bytes(response.body)).hexdigest()[:12] in named(file)
    assert response.headers["cache-control"] == FOR_EVER
    assert response.headers["content-type"].startswith(MEDIA_TYPES[file])


@pytest.mark.parametrize("name", ["pages.000000000000.css", "pages.css"])
def test_the_hash_of_another_release_gets_this_file_and_is_not_kept(name: str) -> None:
    response = static_file(name, PLAIN)
    assert response is not None
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["htmx.json", "gone.css", "pages.a.b.css", "..", "", "pages", "../frame.py"])
def test_other_names_are_not_served(name: str) -> None:
    assert static_file(name, PLAIN) is None


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.0", False), ("br", False), ("", False)],
)
def test_a_file_is_compressed_for_clients_that_accept_it(accepted: str, is_compressed: bool) -> None:  # noqa: FBT001
    response = static_file(named(STYLE), Headers({"accept-encoding": accepted}))
    assert response is not None
    assert response.headers["vary"] == "Accept-Encoding"
    assert (response.headers.get("content-encoding") == "gzip") is is_compressed
    body = gzip.decompress(response.body) if is_compressed else response.body
    assert body == (STATIC_FILES / STYLE).read_bytes()


def test_the_style_is_small() -> None:
    assert len((STATIC_FILES / STYLE).read_bytes()) <= MAX_STYLE_BYTES


def test_the_script_is_the_one_of_npm_with_the_extension_after_it() -> None:
    """`make vendored` writes the script and these facts from npm."""
    script = (STATIC_FILES / SCRIPT).read_bytes()
    facts = json.loads((STATIC_FILES / "htmx.json").read_bytes())
    assert hashlib.sha256(script).hexdigest() == facts["sha256"]
    banner, _, rest = script.partition(b"\n")
    assert f"htmx {facts['version']} " in banner.decode()
    for part in facts["parts"]:
        content, rest = rest[: part["bytes"]], rest[part["bytes"] :]
        assert hashlib.sha256(content).hexdigest() == part["sha256"]
    assert rest == b""
    assert [part["file"] for part in facts["parts"]] == ["dist/htmx.min.js", "dist/ext/hx-sse.min.js"]
    assert len(gzip.compress(script)) <= MAX_SCRIPT_BYTES


def test_the_licence_of_the_script_is_beside_it_and_in_the_notice() -> None:
    facts = json.loads((STATIC_FILES / "htmx.json").read_bytes())
    assert (STATIC_FILES / "htmx.LICENSE").read_text(encoding="utf-8").startswith("Zero-Clause BSD")
    assert facts["licence"] == "0BSD"
    assert f"htmx {facts['version']}" in (ROOT / "NOTICE").read_text(encoding="utf-8")
