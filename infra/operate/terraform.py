"""Terraform on a synthesized stack: which commands, with which environment, and how they end."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.operate.process import Child
from infra.stacks import Stack
from orderctl.exceptions import Failed, Interrupted

STDERR = 2

PLAN_FILE = "stack.tfplan"
LOST_STATE = "errored.tfstate"
"""Terraform leaves its state here when it could not write it to where it belongs."""


@dataclass(frozen=True, kw_only=True)
class Terraform:
    executable: str
    folder: Path
    """What the apps wrote: `<app>/stacks/<stack>/cdk.tf.json`."""
    state_bucket_prefix: str | None
    """Of the buckets where each region keeps its state; None if HCP Terraform keeps it."""
    environ: Mapping[str, str]
    colours: bool = True

    def folder_of(self, stack: Stack) -> Path:
        return self.folder / stack.app / "stacks" / stack.name

    def explain_lost_state(self, stack: Stack) -> str | None:
        """Return what to do about a state that could not be written; None if there is none."""
        folder = self.folder_of(stack)
        if not (folder / LOST_STATE).exists():
            return None
        shown = os.path.relpath(folder)
        return (
            f"terraform could not write the state of {stack.name}, and left it in {shown}/{LOST_STATE}; first run:\n"
            f"  terraform -chdir={shown} state push {LOST_STATE} && rm {shown}/{LOST_STATE}"
        )

    def init(self, stack: Stack, *, quiet: bool = False) -> None:
        """`quiet`: what it says goes to stderr."""
        arguments = ["-input=false"]
        if self.state_bucket_prefix is not None:
            arguments += [
                "-reconfigure",
                f"-backend-config=bucket={self.state_bucket_prefix}-{stack.region}",
                f"-backend-config=region={stack.region}",
            ]
        self._run(stack, "init", *arguments, stdout=STDERR if quiet else None)

    def show_plan(self, stack: Stack, *, destroy: bool) -> None:
        """Keeps nothing, takes no lock: so it needs no right to write, and is in nobody's way."""
        self._run(stack, "plan", "-input=false", "-lock=false", *_destroying(destroy))

    def apply(self, stack: Stack, *, destroy: bool) -> None:
        """Plan, and apply exactly what was planned and shown."""
        plan = self.folder_of(stack) / PLAN_FILE
        try:
            self._run(stack, "plan", "-input=false", f"-out={PLAN_FILE}", *_destroying(destroy))
            self._run(stack, "apply", "-input=false", PLAN_FILE)
        finally:
            plan.unlink(missing_ok=True)  # it holds every value, secret ones too

    def forget(self, stack: Stack, address: str) -> None:
        """Take a resource out of the state, so that it stays when the stack goes. One that is not there is no error."""
        if address in self._run(stack, "state list", stdout=subprocess.PIPE).decode().split():
            self._run(stack, "state rm", address)

    def outputs(self, stack: Stack) -> dict[str, Any]:
        """Return the outputs as Terraform gives them: `value`, `type` and `sensitive` of each."""
        written = self._run(stack, "output", "-json", stdout=subprocess.PIPE)
        return dict(json.loads(written))

    def _run(self, stack: Stack, verb: str, *arguments: str, stdout: int | None = None) -> bytes:
        """Run Terraform. Raises Failed, Interrupted."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # what we said stands above what it says
        command = [self.executable, *verb.split(), *([] if self.colours else ["-no-color"]), *arguments]
        try:
            code, written = Child("terraform").run(
                command, folder=self.folder_of(stack), environ=self.environ, stdout=stdout
            )
        except Interrupted as error:
            raise self._interrupted(stack, verb, error) from error
        if code != 0:
            raise Failed(f"terraform {verb} ended with exit code {code}")
        return written

    def _interrupted(self, stack: Stack, verb: str, error: Interrupted) -> Interrupted:
        """Return an error that names the state that is left."""
        if error.killed:
            return Interrupted(
                f"terraform {verb} was killed: what it had done last may not be in its state, which may be locked. "
                "If the next run says so and names the lock, this frees it: "
                f"terraform -chdir={os.path.relpath(self.folder_of(stack))} force-unlock LOCK_ID"
            )
        if verb != "apply":
            return Interrupted(f"interrupted during terraform {verb}, which changes nothing")
        if error.completed:
            return Interrupted("interrupted during terraform apply, which came to its end", completed=True)
        return Interrupted("interrupted during terraform apply; what it had changed by then is in its state")


def _destroying(destroy: bool) -> list[str]:  # noqa: FBT001 - the value of an argument of the same name
    return ["-destroy"] if destroy else []


def environ_of(environ: Mapping[str, str], state_bucket_prefix: str | None, plugins: Path) -> dict[str, str]:
    """The caller's, without what would lead Terraform to another state, and with what it needs to know.

    `plugins` is where providers are kept for all stacks. They are pinned in each stack, whose lock file is generated
    like the stack itself; so Terraform may take them from there without knowing checksums from the registry.
    """
    kept = {name: value for name, value in environ.items() if name not in ("TF_WORKSPACE", "TF_DATA_DIR")}
    kept.setdefault("TF_PLUGIN_CACHE_DIR", str(plugins))
    added = {"TF_IN_AUTOMATION": "1", "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1"}
    if state_bucket_prefix is not None:
        added["TF_VAR_state_bucket_prefix"] = state_bucket_prefix
    return kept | added
