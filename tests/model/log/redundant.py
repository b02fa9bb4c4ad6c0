"""Guards of the log whose removal breaks nothing, with the reason, and the guards that do the same work."""

from collections.abc import Mapping

REDUNDANT: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "head unchanged": ("the number that it has passed has a page, until that expires", ("page absent",)),
    "page absent": ("a page has the number of a head that was moved", ("head unchanged",)),
}
