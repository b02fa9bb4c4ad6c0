"""Guards whose removal breaks nothing, with the reason, and the guards that do the same work.

Without a guard and its partners together, a property must break.
"""

from collections.abc import Mapping

REDUNDANT: Mapping[str, tuple[str, tuple[str, ...]]] = {}
