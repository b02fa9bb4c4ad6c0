"""Faults that tests inject: throttling, stale reads, images whose containers do not start."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from fake_ecs.errors import ApiError

State = TypeVar("State")

READS = frozenset(
    {"DescribeServices", "DescribeServiceDeployments", "DescribeServiceRevisions", "ListServiceDeployments"}
)
"""Operations that AWS serves from eventually consistent copies."""


class Faults:
    def __init__(self) -> None:
        self._throttled: Counter[str] = Counter()
        self._lag: dict[str, int] = {}
        self._stale: Any = None
        self._stale_left: Counter[str] = Counter()
        self.broken: dict[str, str] = {}
        """Images whose containers do not start: the reason by image digest."""

    def throttle(self, operation: str, calls: int) -> None:
        """Throttle the next `calls` calls of an operation. By default botocore retries a throttled call four times."""
        self._throttled[operation] += calls

    def lag(self, calls: int, operations: Iterable[str] = READS) -> None:
        """Make reads stale: after each change, the next `calls` calls of each operation return the state before it.

        Raises ValueError for an operation that is not in READS.
        """
        self._lag = {operation: calls for operation in operations if calls}
        unknown = set(self._lag) - READS
        if unknown:
            raise ValueError(f"only {', '.join(sorted(READS))} can lag, not {', '.join(sorted(unknown))}")
        self._stale_left.clear()

    def refuse(self, operation: str) -> None:
        """Raise ApiError if this call of the operation is to be throttled."""
        if self._throttled[operation] > 0:
            self._throttled[operation] -= 1
            raise ApiError("ThrottlingException", "Rate exceeded")

    def before_change(self, state: Any) -> Callable[[], None]:
        """Save the state before a change. Return a function to call after it, which makes the saved state readable."""
        if not self._lag:
            return lambda: None
        stale = copy.deepcopy(state)

        def changed() -> None:
            self._stale, self._stale_left = stale, Counter(self._lag)

        return changed

    def state_for(self, operation: str, state: State) -> State:
        """Return the state that the operation reads: the current one or a stale one."""
        if self._stale_left[operation] <= 0:
            return state
        self._stale_left[operation] -= 1
        return cast("State", self._stale)
