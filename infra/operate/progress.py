"""Sees to stacks one after the other, and says where it is; if it must stop, what is done and what goes on."""

import time
from collections.abc import Callable, Sequence

from infra.operate.console import errors, span
from infra.operate.exceptions import Failed, Interrupted
from infra.operate.work import Work, names
from infra.stacks import Stack


def in_turn(work: Work, stacks: Sequence[Stack], see_to: Callable[[Stack], None], *, done: str) -> None:
    """Sees to each stack, and says which one it is, how it went and how long it took.

    The first that fails, or a signal, ends it: what is done then, what is not, and what goes on are in the message.

    Raises:
        Failed, Interrupted.
    """
    started = time.monotonic()
    for index, stack in enumerate(stacks):
        begun = time.monotonic()
        errors.print(f"\n── stack {index + 1} of {len(stacks)}: {stack.name}", style="bold")
        try:
            see_to(stack)
        except Failed as error:
            raise Failed(_stopped(work, stacks, index, f"{error}", done)) from error
        except Interrupted as error:
            raise Interrupted(
                _stopped(work, stacks, index + 1 if error.completed else index, f"{error}", done)
            ) from error
        except KeyboardInterrupt as error:
            raise Interrupted(_stopped(work, stacks, index, "interrupted between two steps", done)) from error
        now = time.monotonic()
        errors.print(f"── {stack.name}: {done} in {span(now - begun)}, {span(now - started)} in all", style="green")


def _stopped(work: Work, stacks: Sequence[Stack], index: int, why: str, done: str) -> str:
    """`index` is that of the stack at which it stopped, or one past it if that one was done."""
    lines = [f"stopped at {stacks[index].name}: {why}" if index < len(stacks) else why]
    if index < len(stacks) and (lost := work.terraform.explain_lost_state(stacks[index])):
        lines.append(lost)
    lines.append(f"{done}: {names(stacks[:index])}")
    lines.append(f"not {done}: {names(stacks[index:])}")
    if index < len(stacks):
        lines.append(f"what goes on from here, and leaves what is done as it is: {work.request.command()}")
    return "\n".join(lines)
