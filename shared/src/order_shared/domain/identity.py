"""Subjects: the names that an issuer gives to customers, and the form in which they are stored.

OpenID Connect allows a subject of up to 255 ASCII characters. In stored keys and messages, every character outside
`[A-Za-z0-9._:@|-]` is percent-encoded, so a key contains no separator that comes from a subject. A subject of these
characters only is stored as it is. Everything else, such as the API and orderctl, uses the subject itself.
"""

import re
from functools import lru_cache
from urllib.parse import unquote

MAX_SUBJECT_LENGTH = 255
_ENCODED = re.compile(r"[^A-Za-z0-9._:@|-]")


def is_subject(value: object) -> bool:
    """Return whether OpenID Connect allows the value as a subject."""
    return isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_LENGTH and value.isascii()


@lru_cache(maxsize=10_000)
def encode_subject(subject: str) -> str:
    """Return the stored form of a subject. Different subjects have different stored forms."""
    return _ENCODED.sub(_percent_encoded, subject)


def decode_subject(stored: str) -> str:
    return unquote(stored) if "%" in stored else stored


def _percent_encoded(character: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character[0].encode())
