"""Credentials from botocore's chain, fetched once for all callers. They are fetched again before they expire, and after
AWS rejects them."""

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from botocore.exceptions import BotoCoreError

from aws_json_client.errors import NoCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiobotocore.credentials import AioCredentials
    from aiobotocore.session import AioSession

PATIENCE = 1.0
"""Seconds that a caller waits for a fetch if there is no valid key. The fetch continues until botocore ends it."""

FETCH_PAUSE = 1.0
"""Minimum seconds between a fetch that returned no new key and the next fetch."""


class Key(NamedTuple):
    """An access key. `token` is the session token; None for a long-lived key."""

    id: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"Key(id={self.id!r})"  # a log line or a traceback must not show the rest


class CredentialsProvider(Protocol):
    """Source of access keys for signatures."""

    async def get_key(self) -> Key:
        """Return the key to sign with. Raises NoCredentials if none is available in time."""

    def refuse(self, key: Key) -> None:
        """Report that AWS rejected this key."""


class StaticCredentials:
    """Provider of one fixed key."""

    def __init__(self, key: Key) -> None:
        self.key = key

    async def get_key(self) -> Key:
        return self.key

    def refuse(self, key: Key) -> None:
        pass


class BotocoreCredentials:
    """Keys from botocore's credential chain: environment, profile, SSO, web identity, process, container, instance.

    At most one fetch runs at a time, and it continues if callers time out. While it runs, a key that is still valid is
    used.
    """

    def __init__(self, session: "AioSession | None" = None) -> None:
        self._session = session or _new_session(None)
        self._source: AioCredentials | None = None
        self._key: Key | None = None
        self._refused: Key | None = None
        self._fetch: asyncio.Task[None] | None = None
        self._next_fetch_at = 0.0
        self._failure = "no source in botocore's chain has any"

    async def get_key(self) -> Key:
        """Return the key to sign with. Raises NoCredentials if none is available in time."""
        key = self._key
        if key is not None and key != self._refused and not self._ends_within(None):
            return key
        fetch = self._start_fetch()
        if key is not None and not self._ends_within(0):
            return key
        if fetch is not None:
            await asyncio.wait([fetch], timeout=PATIENCE)
            if not fetch.done():
                raise NoCredentials(f"none received within {PATIENCE:g} s; the fetch continues")
        if self._key is None or self._ends_within(0):
            raise NoCredentials(self._failure)
        return self._key

    def refuse(self, key: Key) -> None:
        """Report that AWS rejected this key. The next `get_key` fetches a key from the source, bypassing every cache.

        If the source returns the same key, it is used again, because a new key takes time to reach all of AWS.
        """
        if key != self._key or key == self._refused:
            return
        self._refused = key
        self._key = self._source = None
        self._next_fetch_at = 0.0

    def _ends_within(self, seconds: int | None) -> bool:
        """Return whether the key expires within `seconds`; for None, whether botocore would refresh the key now."""
        needs_refresh: Callable[[int | None], bool] | None = getattr(self._source, "refresh_needed", None)
        return needs_refresh is not None and needs_refresh(seconds)

    def _start_fetch(self) -> asyncio.Task[None] | None:
        """Return the running fetch, or start one. Return None in the FETCH_PAUSE after a fetch without a new key."""
        if self._fetch is None and time.monotonic() >= self._next_fetch_at:
            self._fetch = asyncio.create_task(self._run_fetch())
        return self._fetch

    async def _run_fetch(self) -> None:
        before = self._key
        if before is not None and before == self._refused:
            self._source = None
        try:
            self._key = await self._load() or self._key
        except (BotoCoreError, RuntimeError, OSError) as error:  # usually transient
            self._failure = str(error)
        finally:
            self._fetch = None
        if self._key in {before, self._refused}:
            self._next_fetch_at = time.monotonic() + FETCH_PAUSE

    async def _load(self) -> Key | None:
        if self._source is None:
            self._source = await self._open_source()
        if self._source is None:
            return None
        frozen = await self._source.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            return None
        return Key(frozen.access_key, frozen.secret_key, frozen.token)

    async def _open_source(self) -> "AioCredentials | None":
        """Return the session's credentials. After a rejection, use a new session, whose caches are empty."""
        session = self._session if self._refused is None else _new_session(self._session.profile)
        source: AioCredentials | None = await session.get_credentials()
        return source


def _new_session(profile: str | None) -> "AioSession":
    from aiobotocore.session import AioSession  # noqa: PLC0415 - its import takes half a second

    return AioSession(profile=profile)
