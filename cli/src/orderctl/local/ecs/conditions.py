"""Conditions of listener rules: which requests a rule takes.

As Elastic Load Balancing documents them: a rule takes a request if each of its conditions has a value that matches.
`*` stands for any characters and `?` for exactly one. Hosts match in any case, paths as they are written, and only the
path of an address is looked at, not its query.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orderctl.local.ecs.errors import ApiError

CONFIGS = {"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}
"""The fields that the fake knows, and where the values of each are."""


def ensure_known(conditions: Sequence[Mapping[str, Any]]) -> None:
    """Raises ApiError for a condition that the fake could not evaluate."""
    for condition in conditions:
        if condition.get("Field") not in CONFIGS or not _values(condition):
            raise ApiError("InvalidConfigurationRequest", f"The fake knows no condition {condition.get('Field')!r}.")


def takes(conditions: Sequence[Mapping[str, Any]], *, host: str, path: str) -> bool:
    """Whether a rule with these conditions takes a request. `path` is without its query."""
    asked = {"host-header": host.lower(), "path-pattern": path}
    return all(
        any(_matches(value, asked[condition["Field"]], condition["Field"]) for value in _values(condition))
        for condition in conditions
    )


def _values(condition: Mapping[str, Any]) -> list[str]:
    config = condition.get(CONFIGS.get(condition.get("Field", ""), ""), {})
    return list(config.get("Values") or condition.get("Values", ()))


def _matches(pattern: str, text: str, field: str) -> bool:
    written = pattern.lower() if field == "host-header" else pattern
    expression = re.escape(written).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None
