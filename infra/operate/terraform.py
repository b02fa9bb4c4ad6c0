"""Terraform commands for a synthesized stack, with their environment variables and failures."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.operate.process import Child
from infra.operate.request import PROGRAM
from infra.stacks import Stack
from orderctl.exceptions import Failed, Interrupted

STDERR = 2

LOCK_TIMEOUT = "-lock-timeout=10m"
"""Time to wait for the lock of a state, which another run may hold: several environments share the registry's."""

PLAN_FILE = "stack.tfplan"
LOST_STATE = "errored.tfstate"
"""File to which Terraform writes a state that it could not write to its backend."""


@dataclass(frozen=True, kw_only=True)
class Terraform:
    executable: str
    folder: Path
    """Folder that the apps wrote to, with a file `<app>/stacks/<stack>/cdk.tf.json` for each stack."""
    state_bucket_prefix: str | None
    """Name of the state buckets without their region; None if HCP Terraform stores the state."""
    environ: Mapping[str, str]
    colours: bool = True

    def folder_of(self, stack: Stack) -> Path:
        return self.folder / stack.app / "stacks" / stack.name

    def explain_lost_state(self, stack: Stack) -> str | None:
        """Return instructions if Terraform could not write the stack's state to its backend, otherwise None."""
        folder = self.folder_of(stack)
        if not (folder / LOST_STATE).exists():
            return None
        shown = os.path.relpath(folder)
        return (
            f"terraform could not write the state of {stack.name}, and left it in {shown}/{LOST_STATE}; first run:\n"
            f"  terraform -chdir={shown} state push {LOST_STATE} && rm {shown}/{LOST_STATE}"
        )

    def init(self, stack: Stack, *, quiet: bool = False) -> None:
        """Run `terraform init` for a stack. `quiet` sends the output to stderr."""
        arguments = ["-input=false"]
        if self.state_bucket_prefix is not None:
            arguments += [
                "-reconfigure",
                f"-backend-config=bucket={self.state_bucket_prefix}-{stack.region}",
                f"-backend-config=region={stack.region}",
            ]
        self._run(stack, "init", *arguments, stdout=STDERR if quiet else None)

    def show_plan(self, stack: Stack, *, destroy: bool) -> None:
        """Show a plan. It is not saved and takes no lock, so it needs no write permission."""
        self._run(stack, "plan", "-input=false", "-lock=false", *_destroying(destroy))

    @contextmanager
    def planned(self, stack: Stack, *, destroy: bool) -> Iterator[None]:
        """Create and show a plan, which `planned_changes` and `apply_plan` use during the block."""
        plan = self.folder_of(stack) / PLAN_FILE
        try:
            self._run(stack, "plan", "-input=false", LOCK_TIMEOUT, f"-out={PLAN_FILE}", *_destroying(destroy))
            yield
        finally:
            plan.unlink(missing_ok=True)  # the plan contains all values, including secrets

    def planned_changes(self, stack: Stack) -> list[dict[str, Any]]:
        """Return the members of `resource_changes` in Terraform's JSON form of the plan."""
        written = self._run(stack, "show", "-json", PLAN_FILE, stdout=subprocess.PIPE)
        return list(json.loads(written).get("resource_changes", ()))

    def apply_plan(self, stack: Stack, meanwhile: Callable[[], None] | None = None) -> None:
        """Apply exactly the plan. `meanwhile` is called every half a minute until that has ended."""
        self._run(stack, "apply", "-input=false", LOCK_TIMEOUT, PLAN_FILE, meanwhile=meanwhile)

    def apply(self, stack: Stack, *, destroy: bool, meanwhile: Callable[[], None] | None = None) -> None:
        """Create and show a plan, and apply exactly that plan."""
        with self.planned(stack, destroy=destroy):
            self.apply_plan(stack, meanwhile)

    def forget(self, stack: Stack, address: str) -> None:
        """Remove a resource from the state if it is there, so that it survives the destruction of the stack."""
        if address in self._run(stack, "state list", stdout=subprocess.PIPE).decode().split():
            self._run(stack, "state rm", LOCK_TIMEOUT, address)

    def force_unlock(self, stack: Stack, lock_id: str) -> None:
        """Release the lock of a state, if it is still this one."""
        self._run(stack, "force-unlock", "-force", lock_id)

    def outputs(self, stack: Stack) -> dict[str, Any]:
        """Return the stack's outputs by name in Terraform's form, with the members `value`, `type` and `sensitive`."""
        written = self._run(stack, "output", "-json", stdout=subprocess.PIPE)
        return dict(json.loads(written))

    def _run(
        self,
        stack: Stack,
        verb: str,
        *arguments: str,
        stdout: int | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> bytes:
        """Run a Terraform command in the stack's folder. Return its output if `stdout` is a pipe.

        Raises:
            Failed: if the exit code is not 0.
            Interrupted: after a signal.
        """
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # our output comes before Terraform's
        command = [self.executable, *verb.split(), *([] if self.colours else ["-no-color"]), *arguments]
        try:
            code, written = Child("terraform").run(
                command, folder=self.folder_of(stack), environ=self.environ, stdout=stdout, meanwhile=meanwhile
            )
        except Interrupted as error:
            raise self._interrupted(stack, verb, error) from error
        if code != 0:
            raise Failed(f"terraform {verb} ended with exit code {code}")
        return written

    def _interrupted(self, stack: Stack, verb: str, error: Interrupted) -> Interrupted:
        """Return an exception whose message describes the state after the interruption."""
        if error.killed:
            return Interrupted(
                f"terraform {verb} was killed: its last changes may be missing in its state, which may be locked. "
                f"If the next run reports the lock, release it with: {PROGRAM} unlock --env {stack.owner}"
            )
        if verb != "apply":
            return Interrupted(f"interrupted during terraform {verb}, which changes nothing")
        if error.completed:
            return Interrupted("interrupted during terraform apply, which was finished", completed=True)
        return Interrupted("interrupted during terraform apply; its changes so far are in its state")


def _destroying(destroy: bool) -> list[str]:  # noqa: FBT001 - the value of an argument of the same name
    return ["-destroy"] if destroy else []


def environ_of(environ: Mapping[str, str], state_bucket_prefix: str | None, plugins: Path) -> dict[str, str]:
    """Return the environment variables for Terraform: the caller's, without those that change the state's location.

    `plugins` is the provider cache that all stacks share. Each stack pins its providers, and its lock file is generated
    too, so Terraform may use the cache without checksums from the registry.
    """
    kept = {name: value for name, value in environ.items() if name not in ("TF_WORKSPACE", "TF_DATA_DIR")}
    kept.setdefault("TF_PLUGIN_CACHE_DIR", str(plugins))
    added = {"TF_IN_AUTOMATION": "1", "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1"}
    if state_bucket_prefix is not None:
        added["TF_VAR_state_bucket_prefix"] = state_bucket_prefix
    return kept | added
