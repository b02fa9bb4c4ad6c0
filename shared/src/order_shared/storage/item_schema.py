"""Schema versions of stored items. `item_version` is an item's version; reads upgrade items to the newest version.

An item without `item_version` counts as version 0: it was stored before versions existed, with the schema of version 1.
Writes of whole items and the backfill (`migrations.py`) set `item_version`. Updates of single attributes do not change
it, unless they store an attribute that only a newer version has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiodynamo.expressions import Condition, F

from order_shared.aws.dynamodb import Item
from order_shared.domain.errors import PlatformError


class UnknownItemVersion(PlatformError):
    """This release cannot read the item's version, usually because a newer release wrote it. The item is unchanged."""

    def __init__(self, kind: str, version: Any, oldest: int, newest: int) -> None:
        super().__init__(f"{kind}: an item has version {version!r:.20}; this release reads {oldest} to {newest}")


@dataclass(frozen=True)
class Upgrade:
    """Step from one version of an item to the next. `apply` returns the next version; the caller sets `item_version`.

    `apply` may read the attributes that it changes, those in `reads`, and attributes that never change: the condition
    of the backfill contains the first two.
    """

    apply: Callable[[Item], Item]
    reads: frozenset[str] = frozenset()


UNREADABLE = (UnknownItemVersion, KeyError, TypeError, ValueError)
"""Errors of the conversion of an item: an unknown version, or attributes that this release does not expect."""


def describe(error: Exception) -> str:
    """Return the reason why an item cannot be read. It may contain one value of the item."""
    return str(error) if isinstance(error, UnknownItemVersion) else f"the item has an unexpected form: {error!r:.60}"


@dataclass(frozen=True)
class Versions:
    """Schema versions of one kind of item. `upgrades[n]` converts version n to n + 1, up to `newest`."""

    kind: str
    newest: int
    upgrades: Mapping[int, Upgrade]

    def upgraded(self, item: Item) -> Item:
        """Return the item upgraded to the newest version, as a new object. Raises UnknownItemVersion."""
        version = version_of(item)
        while version != self.newest:
            upgrade = self.upgrades.get(version)
            if upgrade is None:
                raise UnknownItemVersion(self.kind, version, min(self.upgrades), self.newest)
            version += 1
            item = {**upgrade.apply(item), "item_version": version}
        return item

    def read_by_upgrades(self, version: int) -> frozenset[str]:
        """Return the attributes that upgrades from this version read and do not change."""
        return frozenset().union(*(self.upgrades[each].reads for each in range(version, self.newest)))

    def known(self, newest: int | None = None) -> Condition:
        """Return a condition for writes that do not read first: an existing item has a version up to `newest`.

        The default is the newest version of all.
        """
        return F("item_version").does_not_exist() | F("item_version").lte(self.newest if newest is None else newest)


def version_of(item: Item) -> int:
    version: int = item.get("item_version", 0)
    return version


def as_it_is(item: Item) -> Item:
    """Upgrade an item from version 0 to 1, which adds only the version number."""
    return item
