"""Checkout with only the files that the set-up needs, and a stand-in for uv that records its calls."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash") or "/bin/bash"

UV = """#!{python} -IS
import json, os, pathlib, sys
if sys.argv[1:] == ["--version"]:
    sys.exit(print("uv 0.13.8 (stand-in)"))
here = pathlib.Path(os.environ["RECORDS"])
settings = pathlib.Path(os.environ["UV_CONFIG_FILE"]).read_text()
with (here / "calls.jsonl").open("a") as calls:
    print(json.dumps({{"arguments": sys.argv[1:], "environ": dict(os.environ), "settings": settings}}), file=calls)
if (here / "fails").exists():
    sys.exit(2)
made = os.environ.get("UV_PROJECT_ENVIRONMENT") if sys.argv[1] == "sync" else sys.argv[-1]
if sys.argv[1] in ("sync", "venv"):
    folder = pathlib.Path(made)
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "pyvenv.cfg").touch()
    (folder / "bin" / "python").unlink(missing_ok=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "lib" / "python3" / "site-packages" / "tiny-1.0.dist-info").mkdir(parents=True, exist_ok=True)
"""


@dataclass(frozen=True)
class Call:
    """Call of uv: its arguments, its environment, and the settings of its configuration file."""

    arguments: list[str]
    environ: dict[str, str]
    settings: str

    @property
    def uv_variables(self) -> dict[str, str]:
        return {name: value for name, value in self.environ.items() if name.startswith("UV_")}


@dataclass(frozen=True)
class Checkout:
    """Folder with the Makefile, the set-up and the locks; the stand-in writes to `records`."""

    root: Path
    records: Path

    def make(self, *targets: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return self.run(["make", *targets], settings)

    def set_up(self, *arguments: str, python: str = sys.executable, **settings: str) -> None:
        done = self.run([python, "-Es", "-m", "devtools.setup", *arguments], settings)
        assert done.returncode == 0, done.stderr

    def run(self, command: list[str], settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        environ = {
            **os.environ,
            "PATH": f"{self.root / 'tools'}:/usr/bin:/bin",
            "HOME": str(self.records),
            "RECORDS": str(self.records),
            "PYTHON": sys.executable,
            **settings,
        }
        return subprocess.run(command, cwd=self.root, env=environ, capture_output=True, text=True, check=False)

    def calls(self) -> list[Call]:
        """Return the calls since the last time."""
        path = self.records / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [Call(**json.loads(line)) for line in lines]


def make_checkout(folder: Path) -> Checkout:
    """Copy the needed files, and put the stand-in first on the path."""
    root, records = folder / "checkout", folder / "records"
    records.mkdir(parents=True)
    copy_set_up(root)
    shutil.copy(ROOT / "Makefile", root)
    listed = subprocess.run(
        ["git", "ls-files", "*pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for path in listed.stdout.splitlines():
        copy_project((ROOT / path).parent, root)
    (root / "tools").mkdir()
    write_stand_in(root / "tools" / "uv")
    return Checkout(root, records)


def copy_set_up(root: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "devtools" / "setup", root / "devtools" / "setup", ignore=ignored)
    shutil.copy(ROOT / "devtools" / "__init__.py", root / "devtools")


def copy_project(project: Path, root: Path) -> None:
    """Copy the pyproject.toml of a project, and its lock if it has one."""
    target = root / project.relative_to(ROOT)
    target.mkdir(parents=True, exist_ok=True)
    for name in ("pyproject.toml", "uv.lock"):
        if (project / name).exists():
            shutil.copy(project / name, target)


def write_stand_in(path: Path) -> None:
    path.write_text(UV.format(python=sys.executable))
    path.chmod(0o755)


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """Write a wheel with these files; `NAME.data/scripts/` has its programs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    information = f"{name}-{version}.dist-info"
    content: dict[str, Any] = {
        **files,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{each},,\n" for each in [*content, f"{information}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for each, text in {**content, f"{information}/RECORD": record}.items():
            entry = zipfile.ZipInfo(each)
            entry.external_attr = 0o100755 << 16  # a file, that can be executed
            wheel.writestr(entry, text)
    return path


def write_index(folder: Path, wheel: Path) -> str:
    """Write an index that has one wheel; return its address."""
    project = folder / wheel.name.partition("-")[0]
    project.mkdir(parents=True)
    shutil.copy(wheel, project)
    (project / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return folder.as_uri()
