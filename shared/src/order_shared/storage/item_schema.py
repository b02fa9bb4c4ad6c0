"""Stored items name the version of their form in `item_version`, and are read in the newest form.

An item without one counts as version 0: it was stored before versions were counted, in the form of version 1.
Only what writes a whole item, and the backfill (`migrations.py`), set `item_version`; a change to an item leaves it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiodynamo.expressions import Condition, F

from order_shared.aws.dynamodb import Item
from order_shared.domain.errors import PlatformError

Upgrade = Callable[[Item], Item]
"""Gives the next version of an item; the chain sets `item_version`. It looks only at what it changes and at what never
changes after the item is stored: the backfill guards nothing else."""


class UnknownItemVersion(PlatformError):
    """Only other code can read the item, usually a newer release. The item is left as it is."""

    def __init__(self, kind: str, version: Any, oldest: int, newest: int) -> None:
        super().__init__(f"{kind}: an item of version {version!r:.20}, and this release reads {oldest} to {newest}")


@dataclass(frozen=True)
class Versions:
    """The forms of one kind of item: `upgrades[n]` makes version n + 1 of version n, up to `newest`.

    `marked` is a version above `newest` that has the same form and attributes that older releases do not know. Single
    writes give it to the items that need it; the backfill does not.
    """

    kind: str
    newest: int
    upgrades: Mapping[int, Upgrade]
    marked: int | None = None

    @property
    def readable(self) -> int:
        """Return the newest version that this release reads."""
        return self.newest if self.marked is None else self.marked

    def upgraded(self, item: Item) -> Item:
        """Return the item in its newest form, without changing the argument. Raises UnknownItemVersion."""
        version = version_of(item)
        while version not in {self.newest, self.marked}:
            upgrade = self.upgrades.get(version)
            if upgrade is None:
                raise UnknownItemVersion(self.kind, version, min(self.upgrades), self.readable)
            version += 1
            item = {**upgrade(item), "item_version": version}
        return item

    def known(self) -> Condition:
        """Return the condition of writes without a read: the stored item, if any, is of no newer version."""
        return F("item_version").does_not_exist() | F("item_version").lte(self.readable)


def version_of(item: Item) -> int:
    version: int = item.get("item_version", 0)
    return version


def as_it_is(item: Item) -> Item:
    """Upgrade an item from version 0 to 1, which only adds the version."""
    return item
