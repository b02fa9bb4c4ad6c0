"""The set-up with the real uv, on a project of one package."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.setup.environments import PROJECTS
from tests.suite.checkout import ROOT, Checkout, copy_set_up, write_index, write_wheel

PYPROJECT = """
[project]
name = "app"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["tiny"]
[tool.uv]
package = false
"""

LOCK = """
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "app"
version = "1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "tiny" }}]

[package.metadata]
requires-dist = [{{ name = "tiny" }}]

[[package]]
name = "tiny"
version = "1.0"
source = {{ registry = "https://index.invalid/simple" }}
wheels = [{{ url = "https://files.pypi.invalid/{name}", hash = "sha256:{digest}" }}]
"""
"""The address of the wheel cannot be reached, as behind a mirror."""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Project that is locked to a wheel in `records`."""
    root, records = tmp_path / "checkout", tmp_path / "records"
    records.mkdir()
    copy_set_up(root)
    (root / "tools").mkdir()
    uv = shutil.which("uv") or str(ROOT / ".local" / "uv" / "bin" / "uv")
    (root / "tools" / "uv").symlink_to(uv)
    wheel = write_wheel(records, "tiny", "1.0", {"tiny.py": ""})
    (root / "pyproject.toml").write_text(PYPROJECT)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (root / "uv.lock").write_text(LOCK.format(name=wheel.name, digest=digest))
    return Checkout(root, records)


def installed(environment: Path) -> list[str]:
    return [path.name for path in environment.glob("lib/*/site-packages/*.dist-info")]


@pytest.mark.parametrize("configured", ["by a variable", "in the user's uv.toml"])
def test_a_mirror_is_used_and_the_callers_environment_is_left_alone(checkout: Checkout, configured: str) -> None:
    theirs = checkout.records / "theirs"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", theirs], check=True)
    (packages,) = theirs.glob("lib/*/site-packages")
    shutil.unpack_archive(write_wheel(checkout.records, "cowsay", "6.1", {"cowsay.py": ""}), packages, "zip")
    mirror = write_index(checkout.records / "mirror", *checkout.records.glob("tiny-*.whl"))
    settings = {"UV_PROJECT_ENVIRONMENT": str(theirs), "VIRTUAL_ENV": str(theirs), "UV_NO_CACHE": "1"}
    if configured == "by a variable":
        settings["UV_DEFAULT_INDEX"] = mirror
    else:
        file = checkout.records / ".config" / "uv" / "uv.toml"
        file.parent.mkdir(parents=True)
        file.write_text(f'exclude-newer = "2020-01-01"\n[[index]]\nurl = "{mirror}"\ndefault = true\n')

    checkout.set_up("install", "workspace", **settings)
    assert installed(checkout.root / ".venv") == ["tiny-1.0.dist-info"]
    assert installed(theirs) == ["cowsay-6.1.dist-info"]
    for project in PROJECTS[1:]:
        (checkout.root / project).mkdir(parents=True)
        for name in ("pyproject.toml", "uv.lock"):
            shutil.copy(checkout.root / name, checkout.root / project)
    checkout.set_up("check-locks", **settings)


def test_what_a_mirror_has_must_be_what_is_locked(checkout: Checkout) -> None:
    another = write_wheel(checkout.records / "harmful", "tiny", "1.0", {"tiny.py": "harmful = True"})
    command = [sys.executable, "-Es", "-m", "devtools.setup", "install", "workspace"]
    mirror = write_index(checkout.records / "mirror", another)
    done = checkout.run(command, {"UV_DEFAULT_INDEX": mirror, "UV_NO_CACHE": "1"})
    assert done.returncode != 0
    assert "Hash mismatch" in done.stderr
    assert not (checkout.root / ".venv" / "setup.stamp").exists()
