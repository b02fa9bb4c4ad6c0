"""Pages and their cursors. A cursor is opaque and signed, and valid only for the query that returned it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from itsdangerous import BadData, URLSafeSerializer

from order_shared.domain.errors import PlatformError

T = TypeVar("T")

MAX_CURSOR_LENGTH = 512


class InvalidCursor(PlatformError):
    def __init__(self) -> None:
        super().__init__("send the cursor of the previous page, with the same filters, sort and customer")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. `next_cursor` is None on the last page."""

    items: list[T]
    next_cursor: str | None


class CursorCodec:
    def __init__(self, secrets: Sequence[str]) -> None:
        """Create a codec that signs with the first secret, and accepts signatures of any of them."""
        newest_last = list(reversed(secrets))  # the order that itsdangerous requires
        self._serializer = URLSafeSerializer(newest_last, salt="cursor")

    def page(
        self, found: Sequence[T], limit: int, scope: Mapping[str, str], position_of: Callable[[T], str]
    ) -> Page[T]:
        """Return a page of the first `limit` items. `found` must have one item more if there is a next page."""
        items = list(found[:limit])
        more = len(found) > limit
        return Page(items, self.encode(position_of(items[-1]), scope) if more else None)

    def encode(self, position: str, scope: Mapping[str, str]) -> str:
        return self._serializer.dumps([_digest(scope), position])

    def decode(self, cursor: str, scope: Mapping[str, str]) -> str:
        """Return the position in the cursor. Raises InvalidCursor for a forged cursor or one of another query."""
        try:
            digest, position = self._serializer.loads(cursor)
        except (BadData, ValueError, TypeError) as error:
            raise InvalidCursor from error
        if digest != _digest(scope):
            raise InvalidCursor
        return str(position)


def _digest(scope: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(scope, sort_keys=True).encode()).hexdigest()[:32]
