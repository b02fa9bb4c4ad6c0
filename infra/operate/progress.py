"""Processing of one stack after the other, with its progress, and the next command after a failure."""

import time
from collections.abc import Callable, Sequence

from infra.operate.console import span
from infra.operate.environment_plan import EnvironmentPlan, names
from infra.stacks import Stack
from orderctl.exceptions import Failed, Interrupted
from orderctl.terminal import errors


def in_turn(plan: EnvironmentPlan, stacks: Sequence[Stack], apply: Callable[[Stack], None], *, done: str) -> None:
    """Call `apply` for each stack, and print its name, result and duration.

    Stop at the first failure or signal. The message of the exception lists the finished and the remaining stacks, and
    names the command to continue with.

    Raises:
        Failed: if a stack fails.
        Interrupted: after a signal.
    """
    started = time.monotonic()
    for index, stack in enumerate(stacks):
        begun = time.monotonic()
        errors.print(f"\n── stack {index + 1} of {len(stacks)}: {stack.name}", style="bold")
        try:
            apply(stack)
        except Failed as error:
            raise Failed(_stopped(plan, stacks, index, f"{error}", done)) from error
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
