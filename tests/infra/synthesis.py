"""The stacks of every environment and of every choice, as Terraform will read them: what the tests of stacks look at.

They are written once for a test run, in infra's own environment, whichever worker needs them first; whoever ends last
takes them away.
"""

import atexit
import fcntl
import json
import os
import pickle
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.environments import ENVIRONMENTS, Environment

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "infra" / ".venv" / "bin" / "python"
SECONDS = 150  # less than the limit of the test that is the first to need the stacks

ALL = "environments.pickle"
CHANGES = "changes"
PROGRAMS = (
    f"""
import sys
from pathlib import Path
from tests.infra.planning import states
states.main(Path(sys.argv[1]) / "{CHANGES}")
""",
    f"""
import pickle, sys
from pathlib import Path
from tests.infra.variants import DEV, HCP, main, variants
folder = Path(sys.argv[1])
main(folder)
(folder / "{ALL}").write_bytes(pickle.dumps({{**variants(), HCP: DEV}}))
""",
)
"""Programs that write the stacks, run side by side."""

HCP = "hcp"
FEATURE = "feat-checkout-with-a-rather-long-name"
TWO_REGIONS = "two-regions"
FAILED_OVER = "failed-over"

REFERENCE = re.compile(r"\$\{[^}]*\}")

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Resource:
    stack: "Stack"
    kind: str
    """Such as `aws_lb`."""
    name: str
    body: Json

    @property
    def address(self) -> str:
        return f"{self.kind}.{self.name}"

    def __getitem__(self, key: str) -> Any:
        return self.body[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.body.get(key, default)

    def __str__(self) -> str:
        return f"{self.stack}: {self.address}"


@dataclass(frozen=True, eq=False)
class Stack:
    variant: str
    """Names the environment, or the choice that it differs by."""
    environment: Environment
    app: str
    """`supporting` or `services`."""
    name: str
    body: Json

    @property
    def kind(self) -> str:
        """`registry`, `supporting`, `order-api` or `order-processor`."""
        return self.name.removesuffix(f"-{self.region}")

    @property
    def region(self) -> str:
        region: str = self.body["provider"]["aws"][0]["region"]
        return region

    @property
    def tags(self) -> dict[str, str]:
        tags: dict[str, str] = self.body["provider"]["aws"][0]["default_tags"][0]["tags"]
        return tags

    @property
    def owner(self) -> str:
        """The environment's name, or `account`."""
        return self.tags["Environment"]

    @property
    def outputs(self) -> dict[str, Any]:
        return {name: output["value"] for name, output in self.body.get("output", {}).items()}

    @property
    def state_key(self) -> str:
        """Of its own state; in HCP Terraform the workspace."""
        return place_of(self.body["terraform"])

    def resources(self, kind: str = "") -> list[Resource]:
        kinds: Mapping[str, Mapping[str, Json]] = self.body.get("resource", {})
        return [
            Resource(self, each, name, body)
            for each, named in kinds.items()
            if kind in {"", each}
            for name, body in named.items()
        ]

    def the(self, address: str) -> Resource:
        """The resource of an address; KeyError if there is none."""
        kind, name = address.split(".")
        return Resource(self, kind, name, self.body["resource"][kind][name])

    def one(self, kind: str) -> Resource:
        """The only resource of its kind."""
        (resource,) = self.resources(kind)
        return resource

    def data(self, kind: str) -> Mapping[str, Json]:
        found: Mapping[str, Json] = self.body.get("data", {}).get(kind, {})
        return found

    def __str__(self) -> str:
        return f"{self.variant}/{self.name}"


def place_of(terraform: Mapping[str, Any]) -> str:
    """Where a state lies, by the settings of a backend, or of what reads it."""
    if "cloud" in terraform:
        return str(terraform["cloud"]["workspaces"]["name"])
    return str(terraform["backend"]["s3"]["key"])


@cache
def stacks() -> tuple[Stack, ...]:
    """All of them; each stack is as `cdk.tf.json` has it.

    Raises:
        AssertionError: if they cannot be written, with what was said.
    """
    folder = _written()
    environments: dict[str, Environment] = pickle.loads((folder / ALL).read_bytes())  # noqa: S301 - just written, by us
    found = [
        Stack(variant, environments[variant], app, path.parent.name, json.loads(path.read_text()))
        for path in sorted(folder.glob("*/*/stacks/*/cdk.tf.json"))
        for variant, app in [path.relative_to(folder).parts[:2]]
    ]
    assert {stack.variant for stack in found} == set(environments)
    return tuple(found)


@cache
def stack_in(state: str, kind: str, region: str = "eu-central-1") -> Stack:
    """Return a stack of prod as it is before or after a change: one of `planning/states.py`."""
    (path,) = (_written() / CHANGES / state).glob(f"*/stacks/{kind}-{region}/cdk.tf.json")
    app = path.relative_to(_written()).parts[2]
    return Stack(state, ENVIRONMENTS["prod"], app, path.parent.name, json.loads(path.read_text()))


@cache
def folder_of(stack: Stack) -> Path:
    """Where its `cdk.tf.json` lies, as long as tests run."""
    return _written() / stack.variant / stack.app / "stacks" / stack.name


def of_kind(kind: str, *, where: Callable[[Stack], bool] = lambda _: True) -> list[Stack]:
    """The stacks of one kind, at least one."""
    found = [stack for stack in stacks() if stack.kind == kind and where(stack)]
    assert found, f"no stack is {kind}"
    return found


def stack_of(variant: str, kind: str, region: str = "") -> Stack:
    """The one stack of its kind in a variant, or in one of its regions."""
    (found,) = of_kind(kind, where=lambda stack: stack.variant == variant and region in {"", stack.region})
    return found


def every(kind: str, *, where: Callable[[Stack], bool] = lambda _: True) -> list[Resource]:
    """The resources of one kind in all stacks; at least one, or a test of them would say nothing."""
    found = [resource for stack in stacks() if where(stack) for resource in stack.resources(kind)]
    assert found, f"no stack has a {kind}"
    return found


def is_plain(stack: Stack) -> bool:
    """dev, uat, prod or the feature environment, as they are deployed."""
    return stack.variant in {*ENVIRONMENTS, FEATURE}


def strings(value: object) -> Iterator[str]:
    """Every text in JSON, the names of members too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield str(name)
            yield from strings(member)
    elif isinstance(value, list):
        for element in value:
            yield from strings(element)


def none(faults: Iterable[str]) -> None:
    """Fails with all faults, each of them once: it begins with the stack, and several may have the same."""
    having: dict[str, list[str]] = {}
    for fault in faults:
        stack, _, what = fault.partition(": ")
        having.setdefault(what, []).append(stack)
    lines = [f"{what} ({len(in_stacks)}: {', '.join(in_stacks[:3])})" for what, in_stacks in having.items()]
    assert not lines, "\n".join(["", *lines])


def _written() -> Path:
    folder, fault = _shared_folder()
    assert not fault, fault
    return folder


@cache
def _shared_folder() -> tuple[Path, str]:
    """The folder of this run, held until this process ends; and why nothing could be written, if so."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"order-platform-stacks-{run}"
    folder.mkdir(exist_ok=True)
    lock, readers = (os.open(folder / name, os.O_CREAT | os.O_RDWR) for name in ("lock", "readers"))
    fcntl.flock(lock, fcntl.LOCK_EX)
    fault = folder / "fault"
    if not fault.exists():
        fault.write_text(_write(folder))
    fcntl.flock(readers, fcntl.LOCK_SH)
    fcntl.flock(lock, fcntl.LOCK_UN)
    atexit.register(_leave, folder, readers)
    return folder, fault.read_text()


def _write(folder: Path) -> str:
    """Why it could not be done; nothing if it was. It is tried once, whoever asks."""
    if not PYTHON.exists():
        return f"{PYTHON.relative_to(ROOT)} is missing: run `make setup-infra`"
    with ThreadPoolExecutor() as pool:
        faults = pool.map(lambda program: _run(program, folder), PROGRAMS)
    return "\n".join(filter(None, faults))


def _run(program: str, folder: Path) -> str:
    try:
        subprocess.run(
            [PYTHON, "-c", program, folder],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'shared' / 'src'}:{ROOT}"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        return f"the stacks cannot be written:\n{error.stderr[-3000:]}"
    except subprocess.TimeoutExpired:
        return f"the stacks are not written after {SECONDS} s"
    return ""


def _leave(folder: Path, readers: int) -> None:
    try:
        fcntl.flock(readers, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another worker still reads
    shutil.rmtree(folder, ignore_errors=True)
