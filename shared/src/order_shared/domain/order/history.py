"""History of an order: every change that its customer can see, one entry per version.

version 1   placed
version 2   reserved
version 3   charged, confirmed       one write can make several changes
version 4   cancel_requested
version 5   refunded, cancelled
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OrderChange(StrEnum):
    PLACED = "placed"
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"
    CHARGED = "charged"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Changes of one version, which one write made. There is at least one."""

    types: tuple[OrderChange, ...]
    at: datetime


def changes_of(history: Sequence[HistoryEntry]) -> Iterator[tuple[OrderChange, datetime]]:
    """Return each change with its time, in the order in which they were made."""
    return ((change, entry.at) for entry in history for change in entry.types)


def includes(history: Sequence[HistoryEntry], change: OrderChange) -> bool:
    return any(change in entry.types for entry in history)
