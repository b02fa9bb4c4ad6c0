"""Credentials by botocore's own chain."""

import asyncio
from typing import TYPE_CHECKING

import aioboto3
from aiodynamo.credentials import Credentials, Key
from aiodynamo.errors import NoCredentialsFound
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError

if TYPE_CHECKING:
    from aiobotocore.credentials import AioCredentials
    from aiodynamo.http.types import HttpImplementation


REFRESH_TIMEOUT = 1.0


class BotocoreCredentials(Credentials):
    """botocore's refreshing chain (environment, profile, SSO, web identity, container) for aiodynamo."""

    def __init__(self, session: aioboto3.Session) -> None:
        self._session = session
        self._source: AioCredentials | None = None
        self._key: Key | None = None

    async def get_key(self, http: "HttpImplementation") -> Key | None:  # noqa: ARG002 - aiodynamo's protocol
        if self._key is not None and not self._is_due():
            return self._key
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT):
                return await self._get_key()
        except TimeoutError as error:
            if self._key is not None and not self._is_due(0):
                return self._key  # whoever gives keys is slow, and the one we have still holds
            raise NoCredentialsFound("they did not come in time") from error
        except (BotoCoreError, RuntimeError) as error:
            raise NoCredentialsFound(str(error)) from error  # passes, as a rule: it is retried

    def _is_due(self, seconds_before: int | None = None) -> bool:
        """Whether the key ends within so many seconds; without a number, whether botocore would like a new one."""
        return isinstance(self._source, RefreshableCredentials) and self._source.refresh_needed(seconds_before)

    async def _get_key(self) -> Key | None:
        if self._source is None:
            self._source = await self._session.get_credentials()  # type: ignore[misc]  # a coroutine; the stub is boto3's
            if self._source is None:
                return None
        frozen = await self._source.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            return None
        self._key = Key(frozen.access_key, frozen.secret_key, frozen.token)
        return self._key

    def invalidate(self) -> bool:
        self._source = self._key = None
        return True

    def is_disabled(self) -> bool:
        return False
