"""Guards whose removal breaks nothing, with the reason, and the guards that do the same work.

Without a guard and its partners together, a property must break.
"""

from collections.abc import Mapping

REDUNDANT: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "same status": ("every change of the status raises the fence", ("same fence",)),
    "same fence": ("each change of the fence changes the status or the owner", ("same status", "same owner")),
    "same owner": ("every change of the owner raises the fence", ("same fence",)),
}
