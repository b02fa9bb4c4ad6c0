"""Dependencies between the resources of a stack, as Terraform sees them: by reference, or by `depends_on`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Self

from tests.infra.synthesis import Stack, strings

ADDRESS = re.compile(r"\b(aws_[a-z0-9_]+\.\w+)")


@dataclass(frozen=True)
class Graph:
    """Each address with those that it names."""

    needs: Mapping[str, frozenset[str]]

    @classmethod
    @cache
    def of(cls, stack: Stack) -> Self:
        """Return the graph of a stack."""
        known = {resource.address for resource in stack.resources()}
        return cls(
            {
                resource.address: frozenset(
                    address
                    for text in strings({name: part for name, part in resource.body.items() if name != "//"})
                    if "${" in text or text in known
                    for address in ADDRESS.findall(text)
                    if address in known and address != resource.address
                )
                for resource in stack.resources()
            }
        )

    def needed_by(self, address: str) -> set[str]:
        """Return all that an address depends on, directly or not."""
        found: set[str] = set()
        waiting = [address]
        while waiting:
            for each in self.needs[waiting.pop()] - found:
                found.add(each)
                waiting.append(each)
        return found

    def in_order(self) -> list[str]:
        """Return the addresses so that each comes after what it depends on."""
        return list(ordered({address: set(needs) for address, needs in self.needs.items()}))


def needed_by(stack: Stack, address: str) -> set[str]:
    """Return all that an address of a stack depends on, directly or not."""
    return Graph.of(stack).needed_by(address)


def ordered(needs: Mapping[str, set[str]]) -> list[str]:
    """Sort names so that each comes after those that it needs, and otherwise by name.

    Raises:
        AssertionError: if some need each other.
    """
    done: dict[str, None] = {}
    waiting = sorted(needs)
    while waiting:
        ready = [name for name in waiting if needs[name] <= done.keys()]
        assert ready, f"these need each other: {waiting}"
        done |= dict.fromkeys(ready)
        waiting = [name for name in waiting if name not in done]
    return list(done)
