"""Dependencies: locks never get older versions, each has a lower bound, and stubs match installed versions."""

import functools
import http.server
import os
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from devtools.setup.locks import LockFailed, downgrades, renew
from devtools.setup.uv import Uv, find_uv

ROOT = Path(__file__).parents[2]
LOCAL = {".venv", ".local"}
PROJECTS = sorted(path for path in ROOT.glob("*/**/pyproject.toml") if not LOCAL & set(path.parts))
OURS = {tomllib.loads(path.read_text())["project"]["name"] for path in PROJECTS}


class Index:
    """Package index with versions of one package, `thing`, some of which are yanked."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self._page = folder / "thing" / "index.html"
        self._page.parent.mkdir()

    def publish(self, **versions: bool) -> None:
        """List versions, such as `v1=True`; those with False are yanked."""
        links = []
        for name, is_offered in versions.items():
            wheel = f"thing-{name.removeprefix('v')}.0-py3-none-any.whl"
            self._write(wheel)
            links.append(f'<a href="{wheel}"{"" if is_offered else " data-yanked"}>{wheel}</a>')
        self._page.write_text("\n".join(links))

    def _write(self, wheel: str) -> None:
        number = wheel.split("-")[1]
        about = f"thing-{number}.dist-info"
        with zipfile.ZipFile(self._page.parent / wheel, "w") as archive:
            archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: thing\nVersion: {number}\n")
            archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{about}/RECORD", "")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    folder = tmp_path / "index"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Index(folder, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["thing"]\n'
    )
    (folder / "uv.lock").write_text('version = 1\nrevision = 3\nrequires-python = ">=3.11"\n')
    return folder


def lock(project: Path, index: Index) -> str:
    environ = {**os.environ, "UV_NO_CACHE": "1", "UV_DEFAULT_INDEX": index.url}
    renew(["."], project, Uv(project, find_uv(ROOT, environ), environ))
    return (project / "uv.lock").read_text()


def test_a_renewed_lock_has_the_newest_version(project: Path, index: Index) -> None:
    index.publish(v1=True)
    assert 'version = "1.0"' in lock(project, index)
    index.publish(v1=True, v2=True)
    assert 'version = "2.0"' in lock(project, index)


def test_a_version_that_was_yanked_fails_the_renewal_with_its_name(project: Path, index: Index) -> None:
    index.publish(v1=True, v2=True)
    before = lock(project, index)
    index.publish(v1=True, v2=False)
    with pytest.raises(LockFailed, match=r"uv\.lock is unchanged.*: thing 2\.0 -> 1\.0\. "):
        lock(project, index)
    assert (project / "uv.lock").read_text() == before


def test_of_several_versions_in_a_lock_the_newest_counts() -> None:
    """Groups that exclude each other have separate versions."""
    both, one = (
        "".join(f'[[package]]\nname = "thing"\nversion = "{each}"\n' for each in versions)
        for versions in (("1.9", "1.10"), ("1.9",))
    )
    assert downgrades(both, one) == ["thing 1.10 -> 1.9"]
    assert downgrades(one, both) == downgrades(both, both) == []


def test_the_stubs_of_boto3_are_those_of_the_boto3_that_runs() -> None:
    assert version("boto3-stubs").split(".")[:2] == version("boto3").split(".")[:2]
    assert version("types-aiobotocore").split(".")[:2] == version("aiobotocore").split(".")[:2]


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_dependency_has_a_lower_bound(path: Path) -> None:
    project = tomllib.loads(path.read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    wanted = [each for group in (project["dependencies"], *extras) for each in group]
    foreign = [each for each in wanted if each.partition("[")[0] not in OURS]
    assert [each for each in foreign if ">=" not in each and "==" not in each] == []
