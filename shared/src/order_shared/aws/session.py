"""Credentials by botocore's own chain."""

from typing import TYPE_CHECKING

import aioboto3
from aiodynamo.credentials import Credentials, Key
from aiodynamo.errors import NoCredentialsFound
from botocore.exceptions import BotoCoreError

if TYPE_CHECKING:
    from aiobotocore.credentials import AioCredentials
    from aiodynamo.http.types import HttpImplementation


class BotocoreCredentials(Credentials):
    """botocore's refreshing chain (environment, profile, SSO, web identity, container) for aiodynamo."""

    def __init__(self, session: aioboto3.Session) -> None:
        self._session = session
        self._source: AioCredentials | None = None
        self._key: Key | None = None

    async def get_key(self, http: "HttpImplementation") -> Key | None:  # noqa: ARG002 - aiodynamo's protocol
        try:
            return await self._get_key()
        except (BotoCoreError, RuntimeError) as error:
            raise NoCredentialsFound(str(error)) from error  # passes, as a rule: it is retried

    async def _get_key(self) -> Key | None:
        if self._source is None:
            self._source = await self._session.get_credentials()  # type: ignore[misc]  # a coroutine; the stub is boto3's
            if self._source is None:
                return None
        frozen = await self._source.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            return None
        if self._key is None or (self._key.id, self._key.token) != (frozen.access_key, frozen.token):
            self._key = Key(frozen.access_key, frozen.secret_key, frozen.token)
        return self._key

    def invalidate(self) -> bool:
        self._source = self._key = None
        return True

    def is_disabled(self) -> bool:
        return False
