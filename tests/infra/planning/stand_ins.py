"""A stack's resources as `terraform_data`, which Terraform brings along: no provider and no registry is needed.

A stand-in is replaced by the arguments that replace its original, and updated by the others. It keeps the original's
references, `depends_on` and lifecycle, so that Terraform itself decides what happens, and in which order.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.infra.aws.replacing import REPLACING, UNKNOWN_AFTER_UPDATE
from tests.infra.aws.values import META_ARGUMENTS
from tests.infra.graph import Graph
from tests.infra.planning.plan import REFERENCE, below, ignored
from tests.infra.synthesis import Json, Resource, Stack

EXPRESSION = re.compile(r"\$\{[^}]*\}")


def stand_ins(stack: Stack) -> Json:
    """Return the configuration of a stack's stand-ins, each by the name of its original's address."""
    resources = {name_of(resource.address): _stand_in(resource) for resource in stack.resources()}
    return {"resource": {"terraform_data": resources}}


def name_of(address: str) -> str:
    return address.replace(".", "--")


def address_of(name: str) -> str:
    return name.replace("--", ".")


def _stand_in(resource: Resource) -> Json:
    replacing, _ = REPLACING.get(resource.kind, ((), ""))
    arguments = {name: value for name, value in resource.body.items() if name not in META_ARGUMENTS | ignored(resource)}
    body: Json = {
        "input": json.dumps({name: _without(value, name, replacing) for name, value in _sorted(arguments)}),
        "triggers_replace": json.dumps([*_only(arguments, "", replacing)]),
    }
    lifecycle = resource.get("lifecycle", {})
    kept = {name: lifecycle[name] for name in ("create_before_destroy", "prevent_destroy") if lifecycle.get(name)}
    needed = Graph.of(resource.stack).needs[resource.address]  # by arguments that are ignored, too
    needs = [f"terraform_data.{name_of(address)}" for address in sorted(needed)]
    named = _named(resource)
    return {**{name: named(text) for name, text in body.items()}, "depends_on": needs, "lifecycle": [kept]}


def _sorted(arguments: Json) -> list[tuple[str, Any]]:
    return sorted(arguments.items())


def _without(value: Any, path: str, replacing: tuple[str, ...]) -> Any:
    """Return what updates a resource."""
    if below(path, replacing):
        return None
    if isinstance(value, dict):
        return {name: _without(member, f"{path}.{name}", replacing) for name, member in value.items()}
    return value


def _only(value: Any, path: str, replacing: tuple[str, ...]) -> Iterator[Any]:
    """Yield what replaces a resource."""
    if below(path, replacing):
        yield [path, value]
    elif isinstance(value, dict):
        for name, member in _sorted(value):
            yield from _only(member, f"{path}.{name}".removeprefix("."), replacing)


def _named(resource: Resource) -> Any:
    """Return a function that turns references to resources into references to their stand-ins."""
    known = {each.address for each in resource.stack.resources()}

    def expression(match: re.Match[str]) -> str:
        named = [
            f"${{terraform_data.{name_of(address)}.{_attribute(address, attribute)}}}"
            for address, attribute in REFERENCE.findall(match[0])
            if address in known
        ]
        # What comes from elsewhere does not change here, and is plain text.
        return "".join(named) or "elsewhere"

    return lambda text: EXPRESSION.sub(expression, text)


def _attribute(address: str, attribute: str) -> str:
    """Return what a stand-in has for an attribute: its output is unknown once it is updated, and its id is not."""
    unknown, _ = UNKNOWN_AFTER_UPDATE.get(address.partition(".")[0], ((), ""))
    return "output" if attribute in unknown else "id"
