"""The set-up: independent of the caller's settings of uv, pip and Python, and renewed when it is out of date."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from devtools.setup.environments import PROJECTS, environments, packages
from devtools.setup.settings import INDEX_VARIABLES, KEPT_VARIABLES
from devtools.setup.uv import VERSION
from order_shared.naming import SERVICE_NAMES
from tests.suite.checkout import ROOT, UV, Checkout, make_checkout, write_wheel

OURS = {"UV_PYTHON", "UV_PYTHON_DOWNLOADS", "UV_CONFIG_FILE", "UV_PROJECT_ENVIRONMENT"}

THEIRS = {
    "UV_PROJECT_ENVIRONMENT": "/theirs",
    "UV_PROJECT": "/theirs",
    "UV_WORKING_DIR": "/theirs",
    "UV_WORKING_DIRECTORY": "/theirs",
    "UV_DIRECTORY": "/theirs",
    "UV_CONFIG_FILE": "",
    "UV_PYTHON": "/theirs",
    "UV_PYTHON_PREFERENCE": "only-managed",
    "UV_MANAGED_PYTHON": "1",
    "UV_SYSTEM_PYTHON": "1",
    "UV_RESOLUTION": "lowest-direct",
    "UV_PRERELEASE": "allow",
    "UV_FORK_STRATEGY": "fewest",
    "UV_EXCLUDE_NEWER": "2026-01-01",
    "UV_CONSTRAINT": "/theirs",
    "UV_OVERRIDE": "/theirs",
    "UV_EXCLUDE": "/theirs",
    "UV_BUILD_CONSTRAINT": "/theirs",
    "UV_NO_BINARY": "1",
    "UV_NO_BUILD": "1",
    "UV_NO_SOURCES": "1",
    "UV_NO_DEV": "1",
    "UV_NO_GROUP": "dev",
    "UV_NO_DEFAULT_GROUPS": "1",
    "UV_NO_EDITABLE": "1",
    "UV_NO_INSTALL_PROJECT": "1",
    "UV_NO_INSTALL_WORKSPACE": "1",
    "UV_ONLY_INSTALL_PROJECT": "1",
    "UV_EXTRA": "all",
    "UV_FROZEN": "1",
    "UV_LOCKED": "1",
    "UV_NO_SYNC": "1",
    "UV_ISOLATED": "1",
    "UV_PREVIEW": "1",
    "UV_TORCH_BACKEND": "cpu",
    "UV_ENV_FILE": "/theirs",
    "UV_SOMETHING_NEW": "1",
    "VIRTUAL_ENV": "/theirs",
    "CONDA_PREFIX": "/theirs",
    "PYTHONPATH": "/theirs",
    "PYTHONSAFEPATH": "1",
    "PYTHONOPTIMIZE": "2",
    "PIP_TARGET": "/theirs",
}
"""Settings that change what is resolved, or where it is installed."""

REACH = {
    "UV_DEFAULT_INDEX": "https://mirror.test/simple",
    "UV_INDEX_COMPANY_PASSWORD": "secret",
    "UV_CACHE_DIR": "/their/cache",
    "UV_HTTP_TIMEOUT": "7",
    "UV_LINK_MODE": "copy",
    "UV_CONCURRENT_DOWNLOADS": "2",
    "HTTPS_PROXY": "http://proxy.test:3128",
    "SSL_CERT_FILE": "/their/certificates.pem",
}
"""Settings that control how packages are reached."""

USERS_FILE = """
exclude-newer = "2026-01-01"
resolution = "lowest"
prerelease = "allow"
required-version = "==0.1.0"
constraint-dependencies = ["ruff<0.1"]
something-new = true
cache-dir = "/their/cache"
offline = true
concurrent-downloads = 3
[[index]]
name = "company"
url = "https://mirror.test/simple"
default = true
[pip]
target = "/theirs"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path)


@pytest.fixture
def users_file(checkout: Checkout) -> None:
    path = checkout.records / ".config" / "uv" / "uv.toml"
    path.parent.mkdir(parents=True)
    path.write_text(USERS_FILE)


class TestEveryCall:
    """One target for each call of uv: other targets call uv through these."""

    TARGETS = ("setup", "setup-infra", "lock")
    COMMANDS = ("check-locks", "lock", "install-wheels orderctl", *(f"install {name}" for name in environments(ROOT)))

    @pytest.mark.usefixtures("users_file")
    @pytest.mark.parametrize("command", [*(f"make {target}" for target in TARGETS), *COMMANDS])
    def test_has_the_callers_reach_and_none_of_their_project(self, checkout: Checkout, command: str) -> None:
        settings = THEIRS | REACH
        if command.startswith("make "):
            done = checkout.make(*command.split()[1:], **settings)
            assert done.returncode == 0, done.stderr
        else:
            checkout.set_up(*command.split(), **settings)
        calls = checkout.calls()
        assert calls
        for call in calls:
            locks = call.arguments[0] == "lock"
            assert call.uv_variables.keys() <= KEPT_VARIABLES | INDEX_VARIABLES | OURS | {"UV_INDEX_COMPANY_PASSWORD"}
            assert "/theirs" not in call.environ.values(), call.environ
            assert not [name for name in call.environ if name.startswith(("PIP_", "PYTHON"))]
            expected = {name: value for name, value in REACH.items() if not (locks and "INDEX" in name)}
            assert call.environ.items() >= expected.items()
            kept = {"cache-dir", "offline", "concurrent-downloads"} | (set() if locks else {"index"})
            assert tomllib.loads(call.settings).keys() == kept

    def test_installs_what_is_locked_into_a_folder_of_the_checkout(self, checkout: Checkout) -> None:
        known = {name: each for name, each in environments(ROOT).items() if each.within is None}
        checkout.set_up("install", *known)
        calls = checkout.calls()
        assert len(calls) == len(known)
        for call, environment in zip(calls, known.values(), strict=True):
            assert call.arguments[:3] == ["sync", "--quiet", "--frozen"]
            assert call.environ["UV_PROJECT_ENVIRONMENT"] == str(checkout.root / environment.folder)

    def test_is_made_here(self) -> None:
        """Only the set-up and the images call uv or pip; no setting of the caller reaches the images."""
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        elsewhere = [ROOT / name for name in listed.splitlines() if not re.match(r"docs/|devtools/|tests/suite/", name)]
        calling = re.compile(rb"\buvx? (sync|run|lock|pip|venv|export|tool|add|build)\b|\bpip3? install\b|[$]\(UV\)")
        found = {path.relative_to(ROOT) for path in elsewhere if calling.search(path.read_bytes())}
        assert {path for path in found if path.name != "Dockerfile"} == set()


def test_locks_are_checked_for_every_project(checkout: Checkout) -> None:
    checkout.set_up("check-locks")
    called = [call.arguments for call in checkout.calls()]
    assert called == [["lock", "--check", "--project", each] for each in PROJECTS]
    tracked = subprocess.run(["git", "ls-files", "*uv.lock"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {str(Path(lock).parent) for lock in tracked.stdout.splitlines()} == {*PROJECTS}


def test_projects_have_no_settings_that_a_configuration_file_replaces() -> None:
    """With UV_CONFIG_FILE, uv reads of [tool.uv] only the keys that describe the project."""
    for project in PROJECTS:
        own = tomllib.loads((ROOT / project / "pyproject.toml").read_text())["tool"]["uv"]
        assert own.keys() <= {"package", "workspace", "sources", "conflicts"}


def test_every_package_of_the_workspace_is_used_alone() -> None:
    (listed,) = re.findall(r"^PACKAGES = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    names = listed.replace("$(SERVICE_NAMES)", " ".join(SERVICE_NAMES))
    assert sorted(names.split()) == sorted(packages(ROOT))


class TestStamp:
    def installs(self, checkout: Checkout) -> list[list[str]]:
        """Return the calls of uv that `install workspace` makes."""
        checkout.set_up("install", "workspace")
        return [call.arguments for call in checkout.calls()]

    def test_what_is_there_is_left_alone(self, checkout: Checkout) -> None:
        assert self.installs(checkout)
        assert self.installs(checkout) == []

    @pytest.mark.parametrize(
        "change",
        [
            "rm -r .venv",
            "rm -r .venv/lib",
            "ln -sf /no/such/python .venv/bin/python",
            "rm .venv/pyvenv.cfg",
            "rm .venv/setup.stamp",
            "echo broken > .venv/setup.stamp",
            "echo '{}' > .venv/setup.stamp",
            "echo >> uv.lock",
            "echo >> shared/pyproject.toml",
            "sed -i s/stand-in/newer/ tools/uv",
        ],
    )
    def test_what_is_broken_or_out_of_date_is_made_again(self, checkout: Checkout, change: str) -> None:
        assert self.installs(checkout)
        subprocess.run(["bash", "-c", change], cwd=checkout.root, check=True)
        assert self.installs(checkout)
        assert self.installs(checkout) == []

    def test_another_python_makes_it_again(self, checkout: Checkout) -> None:
        assert self.installs(checkout)
        stamp = checkout.root / ".venv" / "setup.stamp"
        stamp.write_text(stamp.read_text().replace(sys.version.split()[0], "3.10.0"))
        assert self.installs(checkout)

    def test_a_checkout_that_was_moved_is_made_again(self, checkout: Checkout) -> None:
        assert self.installs(checkout)
        moved = Checkout(checkout.root.rename(checkout.root.with_name("moved")), checkout.records)
        assert self.installs(moved)

    def test_the_demo_takes_nothing_out_of_the_workspace(self, checkout: Checkout) -> None:
        only_demo = ["sync", "--quiet", "--frozen", "--project", ".", "--only-group", "demo"]
        checkout.set_up("install", "demo")
        assert [call.arguments for call in checkout.calls()] == [only_demo]
        assert self.installs(checkout) == [only_demo[:5]]
        checkout.set_up("install", "demo")
        assert checkout.calls() == []
        subprocess.run(["bash", "-c", "echo >> uv.lock"], cwd=checkout.root, check=True)
        checkout.set_up("install", "demo")
        assert [call.arguments for call in checkout.calls()] == [only_demo[:5]]

    def test_a_failure_leaves_none(self, checkout: Checkout) -> None:
        (checkout.records / "fails").touch()
        done = checkout.make("setup")
        assert done.returncode != 0
        assert "uv sync --quiet --frozen --project .: exit code 2" in done.stderr
        assert not (checkout.root / ".venv" / "setup.stamp").exists()
        (checkout.records / "fails").unlink()
        assert self.installs(checkout)

    def test_nothing_is_said_on_stdout(self, checkout: Checkout) -> None:
        assert checkout.make("setup").stdout == ""


@pytest.mark.parametrize("where", [(), ("-s", "-C", "."), ("-C", ".")])
def test_make_token_prints_the_token_alone(checkout: Checkout, where: tuple[str, ...]) -> None:
    checkout.set_up("install", "demo")
    orderctl = checkout.root / ".venv" / "bin" / "orderctl"
    orderctl.write_text("#!/bin/sh\necho a.b.c\n")
    orderctl.chmod(0o755)
    done = checkout.make(*where, "token")
    if "Entering directory" in done.stdout:  # GNU make before 4.4 prints this before it reads the Makefile
        assert where == ("-C", ".")
        assert "prints lines of its own: make -s -C … token prints the token alone" in done.stderr
    else:
        assert done.stdout == "a.b.c\n"


def test_a_file_that_cannot_be_read_is_named(checkout: Checkout) -> None:
    broken = checkout.records / "broken.toml"
    broken.write_text("index = [")
    done = checkout.make("setup", UV_CONFIG_FILE=str(broken))
    assert f"cannot read uv's configuration {broken}" in done.stderr
    assert done.returncode != 0


def test_without_a_home_the_cache_is_in_the_checkout(checkout: Checkout) -> None:
    (checkout.records / "file").touch()
    checkout.set_up("install", "emulator", HOME=str(checkout.records / "file"), XDG_CACHE_HOME="")
    assert [call.environ["UV_CACHE_DIR"] for call in checkout.calls()] == [
        str(checkout.root / ".local" / "cache" / "uv")
    ]


def test_pip_installs_uv_whatever_the_callers_settings_of_pip_are(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / "tools")
    program = {f"uv-{VERSION}.data/scripts/uv": UV.format(python="python").replace("#!python -IS", "#!python")}
    write_wheel(checkout.records / "wheels", "uv", VERSION, program)
    file = checkout.records / "pip.conf"
    file.write_text(f"[global]\nfind-links = {checkout.records / 'wheels'}\nno-index = true\n[install]\nuser = true\n")
    theirs = str(checkout.records / "theirs")
    redirected = {"PIP_TARGET": theirs, "PIP_PREFIX": theirs, "PIP_USER": "1", "PIP_REQUIREMENT": theirs}
    refusing = {"PIP_NO_BINARY": ":all:", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_PYTHON": "/no/such/python"}
    checkout.set_up("install", "emulator", **redirected, **refusing, PIP_CONFIG_FILE=str(file))
    assert [call.arguments[0] for call in checkout.calls()] == ["sync"]
    assert (checkout.root / ".local" / "uv" / "bin" / "uv").exists()
    assert not Path(theirs).exists()
