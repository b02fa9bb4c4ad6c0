"""Terraform on a synthesized stack: its commands, their environment variables and failures."""

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
"""File with the state that Terraform could not write to its backend."""


@dataclass(frozen=True, kw_only=True)
class Terraform:
    executable: str
    folder: Path
    """Folder that the apps wrote: `<app>/stacks/<stack>/cdk.tf.json`."""
    state_bucket_prefix: str | None
    """Prefix of the regions' state buckets; None if HCP Terraform stores the state."""
    environ: Mapping[str, str]
    colours: bool = True

    def folder_of(self, stack: Stack) -> Path:
        return self.folder / stack.app / "stacks" / stack.name

    def explain_lost_state(self, stack: Stack) -> str | None:
        """Return the instructions for a state that could not be written; None if there is none."""
        folder = self.folder_of(stack)
        if not (folder / LOST_STATE).exists():
            return None
        shown = os.path.relpath(folder)
        return (
            f"terraform could not write the state of {stack.name}, and left it in {shown}/{LOST_STATE}; first run:\n"
            f"  terraform -chdir={shown} state push {LOST_STATE} && rm {shown}/{LOST_STATE}"
        )

    def init(self, stack: Stack, *, quiet: bool = False) -> None:
        """Initialize a stack. `quiet` sends the output to stderr."""
        arguments = ["-input=false"]
        if self.state_bucket_prefix is not None:
            arguments += [
                "-reconfigure",
                f"-backend-config=bucket={self.state_bucket_prefix}-{stack.region}",
                f"-backend-config=region={stack.region}",
            ]
        self._run(stack, "init", *arguments, stdout=STDERR if quiet else None)

    def show_plan(self, stack: Stack, *, destroy: bool) -> None:
        """Show a plan without saving it and without a lock, so that it needs no write permission."""
        self._run(stack, "plan", "-input=false", "-lock=false", *_destroying(destroy))

    def apply(self, stack: Stack, *, destroy: bool) -> None:
        """Plan, show the plan, and apply exactly that plan."""
        plan = self.folder_of(stack) / PLAN_FILE
        try:
            self._run(stack, "plan", "-input=false", f"-out={PLAN_FILE}", *_destroying(destroy))
            self._run(stack, "apply", "-input=false", PLAN_FILE)
        finally:
            plan.unlink(missing_ok=True)  # the plan contains every value, also secret ones

    def forget(self, stack: Stack, address: str) -> None:
        """Remove a resource from the state, so that it survives the stack's destruction. A missing one is no error."""
        if address in self._run(stack, "state list", stdout=subprocess.PIPE).decode().split():
            self._run(stack, "state rm", address)

    def outputs(self, stack: Stack) -> dict[str, Any]:
        """Return the outputs in Terraform's form: `value`, `type` and `sensitive` of each."""
        written = self._run(stack, "output", "-json", stdout=subprocess.PIPE)
        return dict(json.loads(written))

    def _run(self, stack: Stack, verb: str, *arguments: str, stdout: int | None = None) -> bytes:
        """Run Terraform. Raises Failed, Interrupted."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # our output comes before Terraform's
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
        """Return the error that describes the state that an interruption leaves."""
        if error.killed:
            return Interrupted(
                f"terraform {verb} was killed: its last changes may be missing in its state, which may be locked. "
                "If the next run reports the lock, release it with: "
                f"terraform -chdir={os.path.relpath(self.folder_of(stack))} force-unlock LOCK_ID"
            )
        if verb != "apply":
            return Interrupted(f"interrupted during terraform {verb}, which changes nothing")
        if error.completed:
            return Interrupted("interrupted during terraform apply, which was finished", completed=True)
        return Interrupted("interrupted during terraform apply; its changes so far are in its state")


def _destroying(destroy: bool) -> list[str]:  # noqa: FBT001 - the value of an argument of the same name
    return ["-destroy"] if destroy else []


def environ_of(environ: Mapping[str, str], state_bucket_prefix: str | None, plugins: Path) -> dict[str, str]:
    """Return the caller's environment variables for Terraform, without those that would change its state's location.

    `plugins` is the provider cache of all stacks. Providers are pinned in each stack, whose lock file is generated like
    the stack itself, so Terraform may use the cache without checksums from the registry.
    """
    kept = {name: value for name, value in environ.items() if name not in ("TF_WORKSPACE", "TF_DATA_DIR")}
    kept.setdefault("TF_PLUGIN_CACHE_DIR", str(plugins))
    added = {"TF_IN_AUTOMATION": "1", "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1"}
    if state_bucket_prefix is not None:
        added["TF_VAR_state_bucket_prefix"] = state_bucket_prefix
    return kept | added
