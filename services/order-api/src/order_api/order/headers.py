"""Headers of conditional requests and of requests that wait: If-Match, If-None-Match, Prefer."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Header
from pydantic import Field, StringConstraints

from order_api.order.waiting import MAX_WAIT_SECONDS

_TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'  # RFC 9110, section 8.8.3
_TAGS = rf"^[ \t]*(?:\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*)[ \t]*$"
_PREFERENCE = re.compile(r'(?:[^,"]|"[^"]*")+')  # a comma within quotes is no separator
_WAIT = re.compile(r'[ \t]*wait[ \t]*=[ \t]*(?:"(\d{1,9})"|(\d{1,9}))[ \t]*(?:;.*)?', re.IGNORECASE | re.ASCII)
_IS_WAIT = re.compile(r"[ \t]*wait[ \t]*(?:[=;]|$)", re.IGNORECASE)

_Tags = Annotated[list[Annotated[str, StringConstraints(pattern=_TAGS)]], Field(min_length=1)]

IfNoneMatch = Annotated[
    _Tags | None,
    Header(
        description="ETags that you know, or `*`. If the order still has one of them, the response is 304 without body."
    ),
]
Prefer = Annotated[
    list[str] | None,
    Header(
        description="`wait=N`: wait up to N seconds for the order to finish (with `If-None-Match`: to change); "
        f"at most {MAX_WAIT_SECONDS} seconds. Other preferences are ignored."
    ),
]
IfMatch = Annotated[
    _Tags | None,
    Header(description="Change only the version with this ETag, which is the one that you have seen."),
]

ETAG: dict[str, Any] = {"ETag": {}}
LOCATION: dict[str, Any] = {"Location": {}}
APPLIED: dict[str, Any] = {"Preference-Applied": {}}
"""Response headers that a route declares. `openapi.headers` describes them."""


def etag(version: int) -> str:
    return f'"{version}"'


def is_among(version: int, tags: Sequence[str]) -> bool:
    """Return whether the tags of If-None-Match include this version. The comparison is weak: it ignores `W/`."""
    return any(line.strip() == "*" or str(version) in re.findall(r'"([^"]*)"', line) for line in tags)


def versions(if_match: Sequence[str]) -> set[int] | None:
    """Return the versions of strong ETags, or None for `*`, which any version matches."""
    if any(line.strip() == "*" for line in if_match):
        return None
    return {int(version) for line in if_match for version in re.findall(r'(?<!W/)"(\d{1,18})"', line)}


def wait_of(prefer: Sequence[str]) -> int | None:
    """Return the seconds of the first `wait` preference, at most MAX_WAIT_SECONDS; None if missing or invalid."""
    for preference in _PREFERENCE.findall(",".join(prefer)):
        if _IS_WAIT.match(preference):
            wait = _WAIT.fullmatch(preference)
            return min(int(wait[1] or wait[2]), MAX_WAIT_SECONDS) if wait else None
    return None
