"""Stacks one after the other: progress, and what to do next when one of them stops."""

import time
from collections.abc import Callable, Sequence

from infra.operate.console import span
from infra.operate.environment_plan import EnvironmentPlan, names
from infra.stacks import Stack
from orderctl.exceptions import Failed, Interrupted
from orderctl.terminal import errors


def in_turn(plan: EnvironmentPlan, stacks: Sequence[Stack], apply: Callable[[Stack], None], *, done: str) -> None:
    """Apply something to each stack, and print its name, result and duration.

    The first that fails, or a signal, ends it: what is done then, what is not, and what goes on are in the message.

    Raises:
        Failed, Interrupted.
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
    """`index` is that of the stack at which it stopped, or one past it if that one was done."""
    lines = [f"stopped at {stacks[index].name}: {why}" if index < len(stacks) else why]
    if index < len(stacks) and (lost := plan.terraform.explain_lost_state(stacks[index])):
        lines.append(lost)
    lines.append(f"{done}: {names(stacks[:index])}")
    lines.append(f"not {done}: {names(stacks[index:])}")
    if index < len(stacks):
        lines.append(f"to go on from here, which leaves what is done as it is: {plan.request.command()}")
    return "\n".join(lines)
