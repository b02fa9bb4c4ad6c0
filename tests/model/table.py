"""Form of the transition table: variables and steps, and the language of their guards and effects.

An expression is Python with and, or, not, comparisons, +, -, `a if b else c` and subscripts. Its names are
constants, or variables of a namespace:

    o   the stored order        my  an actor's own memory: its copy of the order, and results of its calls
    p   payment provider        q   messages of the order             b   circuit breaker
    s   stock                   r   idempotency records               g   what only the properties read

Effects are assignments, and calls of

    copy()         read the order: `my` gets every copied variable
    refresh()      copy(), and forget results of calls
    placed()       take the order as its message has it: as it was placed
    increase(i, c) count an increase of stock shard i if c holds

In an expression, nobody(c) is true if c holds in no actor's memory.

`promela.py` turns the table into PROMELA; `conformance.py` evaluates the same text along recorded histories.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

ABSENT, PENDING, RESERVED, CONFIRMED, REJECTED, CANCELLED = range(6)
NO_UNDO, REJECT, CANCEL, REPLACE = range(4)
NO_INTENT, OPEN, SUCCEEDED, CANCELED = range(4)

NOTHING, PAID, GONE, DECLINED, DIFFERS, DIFFERS_PAID, SPENT_CREATE, SPENT_CONFIRM, SPENT_UNDO, UNAVAILABLE = range(10)
"""Results of an actor's last provider call."""

NO_RESPONSE, KEY_SPOILED, KEY_DECLINED = range(3)
"""Saved response of a confirm's idempotency key: none, a 5xx, or a decline."""

SPOILED: Final = 99
"""Saved response of a create's idempotency key: a 5xx. Other values are the intent's number, or 0. A simulated order
may need more intents than the two of a model."""

NOBODY: Final = 9
FORMER: Final = 8
"""Owner whose attempt has ended. Actors have the numbers below it."""

IDLE, READ, STEP, SHORT, SCAN, PLANNED, PROVEN, FAILED, BACK_OFF, SETTLE, SEND, ASKED = range(12)
"""Position of an actor in its program."""

CONSTANTS: Mapping[str, int] = {
    name: value for name, value in list(globals().items()) if name.isupper() and isinstance(value, int)
}

Guards = Mapping[str, str]
"""Conditions by name."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """`copied` variables of an order are part of every actor's copy. `size` is above 1 for arrays."""

    initial: int = 0
    copied: bool = False
    size: int = 1


@dataclass(frozen=True, kw_only=True)
class Step:
    """One atomic step: a write, a call of the provider, an effect on the queue, or a decision.

    It is possible at the actor's position `at` while all `facts` and `when` hold. Facts are the world's; `when` is what
    the platform checks. A conditional write takes effect only under its `condition` and `stock`. If the condition does
    not hold, the actor continues at `otherwise`; if only `stock` does not hold, it continues at SHORT.

    A bounded model allows a `fault` a number of times. `unseen` is the reason why no recorded history shows the step.
    """

    name: str
    by: str = "worker"
    at: int | tuple[int, ...] = STEP
    to: int = STEP
    then: str = ""
    facts: Guards = field(default_factory=dict)
    when: Guards = field(default_factory=dict)
    condition: Guards = field(default_factory=dict)
    stock: Guards = field(default_factory=dict)
    otherwise: int = READ
    fault: str = ""
    unseen: str = ""

    @property
    def guards(self) -> Guards:
        """Guards of the platform, each of which can be removed to show what it is for."""
        return {**self.when, **self.condition, **self.stock}


def is_open(order: str) -> str:
    return (
        f"({order}.status == PENDING or {order}.status == RESERVED or "
        f"({order}.cancel and ({order}.status == CONFIRMED or {order}.status == REJECTED)))"
    )


def holds_stock(order: str) -> str:
    return f"({order}.status == RESERVED or {order}.status == CONFIRMED)"


def by_name(steps: Sequence[Step]) -> dict[str, Step]:
    return {step.name: step for step in steps}
