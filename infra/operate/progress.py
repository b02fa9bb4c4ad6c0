"""Processing of one stack after the other, with its progress, and the next command after a failure."""

import time
from collections.abc import Callable, Sequence

import typer
from botocore.exceptions import BotoCoreError, ClientError

from infra.operate.console import span
from infra.operate.environment_plan import EnvironmentPlan, names
from infra.stacks import Stack
from order_operations.deployments.errors import DeploymentError, DeploymentRefused
from orderctl.exceptions import Failed, Interrupted, Refused
from orderctl.terminal import errors


def in_turn(plan: EnvironmentPlan, stacks: Sequence[Stack], apply: Callable[[Stack], None], *, done: str) -> None:
    """Call `apply` for each stack, and print its name, result and duration.

    Stop at the first failure or signal. The message of the exception lists the finished and the remaining stacks, and
    names the command to continue with.

    Raises:
        Refused: if the first stack may not be changed now. Nothing was changed.
        Failed: if a stack fails, or a later one may not be changed now.
        Interrupted: after a signal.
        typer.Exit: if the deployment of a stack was not followed to its end.
    """
    started = time.monotonic()
    for index, stack in enumerate(stacks):
        begun = time.monotonic()
        errors.print(f"\n── stack {index + 1} of {len(stacks)}: {stack.name}", style="bold")
        try:
            apply(stack)
        except (Refused, DeploymentRefused) as error:
            stopped = _stopped(plan, stacks, index, f"{error}", done)
            raise (Failed if index else Refused)(stopped) from error
        except (Failed, DeploymentError) as error:
            raise Failed(_stopped(plan, stacks, index, f"{error}", done)) from error
        except (BotoCoreError, ClientError) as error:
            raise Failed(_stopped(plan, stacks, index, f"AWS: {error}", done)) from error
        except typer.Exit:  # its deployment was not followed to its end, which is printed already
            errors.print(_stopped(plan, stacks, index, "its deployment is not over", done), style="yellow")
            raise
        except Interrupted as error:
            raise Interrupted(
                _stopped(plan, stacks, index + 1 if error.completed else index, f"{error}", done)
            ) from error
        except KeyboardInterrupt as error:
            raise Interrupted(_stopped(plan, stacks, index, "interrupted between two steps", done)) from error
        now = time.monotonic()
        errors.print(f"── {stack.name}: {done} in {span(now - begun)}, {span(now - started)} in all", style="green")


def _stopped(plan: EnvironmentPlan, stacks: Sequence[Stack], index: int, why: str, done: str) -> str:
    """Return the message for `in_turn`. `index` is the position of the first stack that is not finished."""
    lines = [f"stopped at {stacks[index].name}: {why}" if index < len(stacks) else why]
    if index < len(stacks) and (lost := plan.terraform.explain_lost_state(stacks[index])):
        lines.append(lost)
    lines.append(f"{done}: {names(stacks[:index])}")
    lines.append(f"not {done}: {names(stacks[index:])}")
    if index < len(stacks):
        lines.append(f"to continue, which changes no finished stack, run: {plan.request.command()}")
    return "\n".join(lines)
