"""The environments' settings as files, `env/*.env`: what a shell, compose and orderctl read.

`python -m tests.infra.profiles` writes those of the environments from the synthesized stacks.
"""

import re
import shlex
from pathlib import Path

from dotenv import dotenv_values

from infra.environments import ENVIRONMENTS
from tests.infra.containers import Container, containers
from tests.infra.synthesis import REFERENCE, ROOT, Stack, stack_of

FOLDER = ROOT / "env"
LOCAL = "local"

OF_THE_TASK = re.compile(r"ORDER_(HOST|PORT)|OTEL_.*")
"""Where a container listens is its own, and what runs elsewhere sends the environment no traces."""


def profiles() -> dict[str, Path]:
    """Every profile by its name; files of secrets, which git ignores, are none."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.env")) if "." not in path.stem}


def settings_of(profile: str) -> dict[str, str]:
    """As compose reads them."""
    found = dotenv_values(FOLDER / f"{profile}.env", interpolate=False)
    return {name: value or "" for name, value in found.items()}


def given(name: str) -> dict[str, str]:
    """Return what infra gives the tasks of all services."""
    return {setting: value for container in at_home(name) for setting, value in _given(container).items()}


def written(name: str) -> str:
    """Return the text of an environment's profile."""
    settings = [f"{setting}={shlex.quote(value)}" for setting, value in sorted(given(name).items())]
    return "\n".join(
        [
            f"# The services' settings in {name}, as infra gives them to its tasks: `make snapshot` writes them.",
            "# Secrets are elsewhere: see docs/development.md.",
            *settings,
            "",
        ]
    )


def resolved(stack: Stack, value: str) -> str:
    """As Terraform will write it: an output of `supporting` is the attribute of a resource there."""
    if not REFERENCE.fullmatch(value):
        return value
    supporting = stack_of(stack.variant, "supporting", stack.region)
    output: str = supporting.outputs[value.rstrip("}").rpartition(".")[2]]
    address, _, attribute = output.strip("${}").rpartition(".")
    return str(supporting.the(address)[attribute])


def _given(container: Container) -> dict[str, str]:
    stack = container.task.stack
    settings = container.settings.items()
    return {name: resolved(stack, value) for name, value in settings if not OF_THE_TASK.fullmatch(name)}


def at_home(name: str) -> list[Container]:
    """Those of an environment that write."""
    home = ENVIRONMENTS[name].home
    stacks = ((container, container.task.stack) for container in containers())
    return [container for container, stack in stacks if (stack.variant, stack.region) == (name, home)]


def main() -> None:
    for name in ENVIRONMENTS:
        (FOLDER / f"{name}.env").write_text(written(name))


if __name__ == "__main__":
    main()
