"""Faults that tests inject: throttling, stale reads, images whose containers do not start."""

import copy
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from fake_ecs.errors import ApiError

State = TypeVar("State")

READS = frozenset(
    {"DescribeServices", "DescribeServiceDeployments", "DescribeServiceRevisions", "ListServiceDeployments"}
)
"""Operations that AWS serves from eventually consistent copies."""

NOT_STARTED = "Essential container in task exited"
"""Reason of a container that does not start."""
EMPTY_PAGES = 0.5
"""Share of the lists that begin with an empty page, while faults vary."""
MOST_LATE_READS = 2
"""Maximum number of late reads of each operation after a change, while faults vary."""


class Faults:
    def __init__(self) -> None:
        self._failing: dict[str, tuple[str, int]] = {}
        """Error code and number of the next calls that fail with it, by operation."""
        self._unanswered: Counter[str] = Counter()
        self._random: random.Random | None = None
        self._lag: dict[str, int] = {}
        self._stale: Any = None
        self._stale_left: Counter[str] = Counter()
        self.broken: dict[str, str] = {}
        """Images whose containers do not start: the reason by image digest."""
        self.unhealthy: dict[str, str] = {}
        """Reason why containers of an image fail their health checks, by digest."""
        self.undigested: set[str] = set()
        """Services whose new revisions get no digest, as when EC2 lacks capacity for the first task."""
        self.platform_digests: set[str] = set()
        """Services of which ECS reports the digest of the platform's image, not of the index. AWS documents neither."""

    def throttle(self, operation: str, calls: int) -> None:
        """Throttle the next `calls` calls of an operation. By default botocore retries a throttled call four times."""
        self.fail(operation, "ThrottlingException", calls)

    def fail(self, operation: str, code: str, calls: int = 1) -> None:
        """Refuse the next calls of an operation with an error code. They change nothing."""
        self._failing[operation] = (code, calls)

    def lose_answers(self, operation: str, calls: int = 1) -> None:
        """Carry out the next calls of an operation, but close their connections without a response."""
        self._unanswered[operation] += calls

    def vary(self, seed: int | None) -> None:
        """Let lists begin with an empty page, and let reads be late after a change, at random; None ends it."""
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - repeatable faults, no secret

    def page_is_empty(self) -> bool:
        return self._random is not None and self._random.random() < EMPTY_PAGES

    def is_answered(self, operation: str) -> bool:
        if self._unanswered[operation] <= 0:
            return True
        self._unanswered[operation] -= 1
        return False

    def lag(self, calls: int, operations: Iterable[str] = READS) -> None:
        """Make reads stale: after each change, the next `calls` calls of each operation return the state before it.

        Raises ValueError for an operation that is not in READS.
        """
        self._random = None
        self._lag = {operation: calls for operation in operations if calls}
        unknown = set(self._lag) - READS
        if unknown:
            raise ValueError(f"only {', '.join(sorted(READS))} can lag, not {', '.join(sorted(unknown))}")
        self._stale_left.clear()

    def refuse(self, operation: str) -> None:
        """Raises ApiError if the call is to fail."""
        code, calls = self._failing.pop(operation, ("", 0))
        if calls > 1:
            self._failing[operation] = (code, calls - 1)
        if calls > 0:
            raise ApiError(code, "Rate exceeded" if code == "ThrottlingException" else "injected")

    def before_change(self, state: Any) -> Callable[[], None]:
        """Save the state before a change. Return a function to call after it, which makes the saved state readable."""
        if self._random is not None:
            self._lag = {operation: self._random.randrange(MOST_LATE_READS + 1) for operation in sorted(READS)}
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
