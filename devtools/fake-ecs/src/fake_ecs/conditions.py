"""Conditions of listener rules.

As in Elastic Load Balancing, a rule matches a request if each of its conditions has a matching value. In a value, `*`
matches any number of characters and `?` exactly one. Hosts are compared without regard to case, paths
case-sensitively. The query string is ignored.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from fake_ecs.errors import ApiError

CONFIGS = {"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}
"""Supported condition fields, and the member of a condition that contains the values of each."""


def ensure_known(conditions: Sequence[Mapping[str, Any]]) -> None:
    """Check that the fake supports each condition. Raises ApiError if it does not."""
    for condition in conditions:
        if condition.get("Field") not in CONFIGS or not _values(condition):
            raise ApiError("InvalidConfigurationRequest", f"The fake does not support {condition.get('Field')!r}.")


def matches(conditions: Sequence[Mapping[str, Any]], *, host: str, path: str) -> bool:
    """Return whether a rule with these conditions matches the request. `path` has no query string."""
    asked = {"host-header": host.lower(), "path-pattern": path}
    return all(
        any(_matches(value, asked[condition["Field"]], condition["Field"]) for value in _values(condition))
        for condition in conditions
    )


def _values(condition: Mapping[str, Any]) -> list[str]:
    config = condition.get(CONFIGS.get(condition.get("Field", ""), ""), {})
    return list(config.get("Values") or condition.get("Values", ()))


def _matches(pattern: str, text: str, field: str) -> bool:
    return fnmatchcase(text, pattern.lower() if field == "host-header" else pattern)  # ELB allows no `[` in either
