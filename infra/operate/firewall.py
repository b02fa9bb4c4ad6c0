"""Comparison of a live web ACL's rules with the code, since Terraform does not read them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.operate.synthesis import STACK_FILE

SCOPE = "REGIONAL"


def firewall_drift(wafv2: Any, folder: Path) -> list[str]:
    """Return one line for each rule in which the live web ACL differs from the synthesized stack in `folder`.

    Return no line if the stack has no web ACL, or if the web ACL does not exist yet.
    """
    resources = json.loads((folder / STACK_FILE).read_text()).get("resource", {})
    return [line for acl in resources.get("aws_wafv2_web_acl", {}).values() for line in _drift(wafv2, acl)]


def _drift(wafv2: Any, acl: Mapping[str, Any]) -> Iterator[str]:
    live = _live_rules(wafv2, acl["name"])
    if live is None:
        return
    wanted = {rule["Name"]: rule for rule in json.loads(acl["rule_json"])}
    yield from (f"{acl['name']}: the rule {name} is missing" for name in wanted.keys() - live.keys())
    yield from (f"{acl['name']}: the rule {name} is not in the code" for name in live.keys() - wanted.keys())
    for name in wanted.keys() & live.keys():
        if not _holds(live[name], wanted[name]):
            yield f"{acl['name']}: the rule {name} differs from the code"


def _live_rules(wafv2: Any, name: str) -> dict[str, Any] | None:
    """Return the rules of the live web ACL by name; None if it does not exist."""
    for summary in _summaries(wafv2):
        if summary["Name"] == name:
            acl = wafv2.get_web_acl(Name=name, Scope=SCOPE, Id=summary["Id"])["WebACL"]
            return {rule["Name"]: rule for rule in acl["Rules"]}
    return None


def _summaries(wafv2: Any) -> Iterator[dict[str, Any]]:
    marker: dict[str, str] = {}
    while True:
        page = wafv2.list_web_acls(Scope=SCOPE, **marker)
        yield from page["WebACLs"]
        if not page.get("NextMarker"):
            return
        marker = {"NextMarker": page["NextMarker"]}


def _holds(live: Any, wanted: Any) -> bool:
    """Return whether a live value contains the wanted one. It may have further members, since AWS adds defaults."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(name in live and _holds(live[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list):
        pairs = zip(live, wanted, strict=False)
        return isinstance(live, list) and len(live) == len(wanted) and all(_holds(*pair) for pair in pairs)
    return bool(live == wanted)
