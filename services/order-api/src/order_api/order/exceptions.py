"""What can be wrong with a request about orders, before the business is asked."""

from collections.abc import Sequence

from order_shared.exceptions import PlatformError


class UnsupportedSort(PlatformError):
    def __init__(self, sort: str, allowed: Sequence[str]) -> None:
        super().__init__(f"cannot sort by {sort!r:.60}; allowed: {', '.join(allowed)}")
