"""Cursors: opaque, and signed over all that the page before depended on."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from itsdangerous import BadData, URLSafeSerializer

from order_shared.exceptions import PlatformError

MAX_CURSOR_LENGTH = 512


class InvalidCursor(PlatformError):
    def __init__(self) -> None:
        super().__init__("send the cursor of the page before, with the same filters, sort and customer")


class CursorCodec:
    def __init__(self, secrets: Sequence[str]) -> None:
        """The first secret signs, all of them verify."""
        newest_last = list(reversed(secrets))  # as itsdangerous wants them
        self._serializer = URLSafeSerializer(newest_last, salt="cursor")

    def encode(self, position: str, scope: Mapping[str, str]) -> str:
        return self._serializer.dumps([_digest(scope), position])

    def decode(self, cursor: str, scope: Mapping[str, str]) -> str:
        """The position; raises InvalidCursor for a forged cursor or one of another scope."""
        try:
            digest, position = self._serializer.loads(cursor)
        except (BadData, ValueError, TypeError) as error:
            raise InvalidCursor from error
        if digest != _digest(scope):
            raise InvalidCursor
        return str(position)


def _digest(scope: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(scope, sort_keys=True).encode()).hexdigest()[:32]
