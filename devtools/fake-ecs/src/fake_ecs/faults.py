"""What tests make go wrong: throttling, answers that lag behind, images whose containers do not start."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from fake_ecs.errors import ApiError

State = TypeVar("State")

READS = frozenset(
    {"DescribeServices", "DescribeServiceDeployments", "DescribeServiceRevisions", "ListServiceDeployments"}
)
"""What AWS answers from copies that catch up later."""


class Faults:
    def __init__(self) -> None:
        self._throttled: Counter[str] = Counter()
        self._lag: dict[str, int] = {}
        self._stale: Any = None
        self._stale_left: Counter[str] = Counter()
        self.broken: dict[str, str] = {}
        """By digest, why containers of that image do not start."""

    def throttle(self, operation: str, calls: int) -> None:
        """The next calls of an operation are refused. botocore repeats what is throttled, by default four times."""
        self._throttled[operation] += calls

    def lag(self, calls: int, operations: Iterable[str] = READS) -> None:
        """After each change that is asked for, the next calls of each reading operation answer as before it."""
        self._lag = {operation: calls for operation in operations if calls}
        unknown = set(self._lag) - READS
        if unknown:
            raise ValueError(f"only {', '.join(sorted(READS))} can lag, not {', '.join(sorted(unknown))}")
        self._stale_left.clear()

    def refuse(self, operation: str) -> None:
        """Raises ApiError if the call is one of the throttled."""
        if self._throttled[operation] > 0:
            self._throttled[operation] -= 1
            raise ApiError("ThrottlingException", "Rate exceeded")

    def before_change(self, state: Any) -> Callable[[], None]:
        """Called with the state as it is; what it returns is called once the change was made."""
        if not self._lag:
            return lambda: None
        stale = copy.deepcopy(state)

        def changed() -> None:
            self._stale, self._stale_left = stale, Counter(self._lag)

        return changed

    def seen_by(self, operation: str, state: State) -> State:
        """What the operation reads: the state, or how it was."""
        if self._stale_left[operation] <= 0:
            return state
        self._stale_left[operation] -= 1
        return cast("State", self._stale)
