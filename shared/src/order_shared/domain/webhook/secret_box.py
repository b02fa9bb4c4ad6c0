"""Encryption of the secrets of webhook endpoints, which are stored sealed."""

from collections.abc import Sequence
from typing import NewType, Protocol

from order_shared.domain.errors import PlatformError

Sealed = NewType("Sealed", str)
"""Encrypted text, safe to store."""


class CannotOpenSecret(PlatformError):
    """No configured key opens a stored secret: the key that sealed it was removed, or the text was changed."""

    def __init__(self) -> None:
        super().__init__("no key of ORDER_WEBHOOK_KEYS opens the secret of this endpoint")


class SecretBox(Protocol):
    def seal(self, text: str) -> Sealed:
        """Return the text, encrypted with the newest key."""
        ...

    def open(self, sealed: Sealed) -> str:
        """Return the text that was sealed. Raises CannotOpenSecret."""
        ...


class FernetBox:
    """Box with the keys of Fernet, newest first. The first one seals, and each of them opens."""

    def __init__(self, keys: Sequence[str]) -> None:
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - only services that use webhooks have it

        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, text: str) -> Sealed:
        return Sealed(self._fernet.encrypt(text.encode()).decode())

    def open(self, sealed: Sealed) -> str:
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeError) as error:
            raise CannotOpenSecret from error
