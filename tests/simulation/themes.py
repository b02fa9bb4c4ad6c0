"""Themes of runs: each has a few situations that a storm of every kind of fault meets too rarely, and little else.

With little else, more can be checked: see `Plan.is_sound`.
"""

from collections.abc import Callable, Mapping
from random import Random

from tests.simulation import customer_themes, failure_themes
from tests.simulation.events import plans as log_themes
from tests.simulation.plans import Plan, Theme

Draw = Callable[[Plan, Random], Plan]

THEMES: Mapping[Theme, Draw] = {
    Theme.QUIET: customer_themes.quiet,
    Theme.CANCELS: customer_themes.cancels,
    Theme.SCARCE: customer_themes.scarce,
    Theme.POISON: failure_themes.poison,
    Theme.LOST_MESSAGES: failure_themes.lost_messages,
    Theme.LETTERS: failure_themes.letters,
    Theme.DRAIN: failure_themes.drain,
    Theme.OUTAGE: failure_themes.outage,
    Theme.REFUSED: failure_themes.refused,
    Theme.SHORT_LEASES: failure_themes.short_leases,
    Theme.TWINS: customer_themes.twins,
    Theme.SLOW: failure_themes.slow,
    Theme.CONTENDED: failure_themes.contended,
    Theme.UNSETTLED: failure_themes.unsettled,
    Theme.AMOUNTS: customer_themes.amounts,
    Theme.FROZEN: failure_themes.frozen,
    Theme.LOG: log_themes.log,
    Theme.NEW_LOG: log_themes.new_log,
}
_OTHERS = tuple(THEMES)
TURNS = tuple(theme for first in range(0, len(_OTHERS), 2) for theme in (Theme.STORM, *_OTHERS[first : first + 2]))
"""Theme of each seed, in turn. One of three seeds is a storm."""
