"""Order ids. Each is a UUIDv7 that contains the order's `created_at`, the range key of its item.

    ord_ 0197f3c2a1b0 7 07b 9...
         48-bit ms    │ │   62 random bits
                      │ microseconds within the millisecond (0 to 999)
                      version

An order is therefore read by id with one strongly consistent GetItem on (customer, created_at), without an index. Ids
sort by time, and no two orders have the same id.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NewType, Self

from order_shared.domain.clock import MAX_MICROS, from_micros, to_micros
from order_shared.domain.order.exceptions import InvalidOrderId
from order_shared.entropy import random_bits

OrderId = NewType("OrderId", str)

PREFIX = "ord_"
_HEX_DIGITS = frozenset("0123456789abcdef")
_VERSION = 7
_VARIANT = 0b10
_RANDOM_BITS = 62


def new_order_id(created_at: datetime) -> OrderId:
    return _order_id(created_at, random_bits(_RANDOM_BITS))


def created_at_of(order_id: str) -> datetime:
    """Return the creation time in the id. Raises InvalidOrderId for an id that `new_order_id` cannot return."""
    digits = order_id.removeprefix(PREFIX)
    if len(digits) != 32 or len(order_id) != len(PREFIX) + 32 or not _HEX_DIGITS.issuperset(digits):
        raise InvalidOrderId(order_id)
    value = int(digits, 16)
    millis, micros = value >> 80, value >> 64 & 0xFFF
    instant = millis * 1000 + micros
    if (value >> 76 & 0xF, value >> 62 & 0b11) != (_VERSION, _VARIANT) or micros > 999 or instant > MAX_MICROS:
        raise InvalidOrderId(order_id)
    return from_micros(instant)


def lowest_id_at(at: datetime) -> OrderId:
    """Return the lowest id that an order created at this time can have."""
    return _order_id(at, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdSpan:
    """Span of order ids, as the numbers in them, from `first` to `last` (both inclusive)."""

    first: int
    last: int

    @classmethod
    def of_window(cls, start: datetime, end: datetime) -> Self:
        """Return the span of the ids of all orders created from `start` (inclusive) to `end` (exclusive)."""
        return cls(first=_number(lowest_id_at(start)), last=_number(lowest_id_at(end)) - 1)

    def beyond(self, order_id: str, *, descending: bool) -> "IdSpan":
        """Return the part of the span that remains to be read after `order_id`."""
        number = _number(order_id)
        return replace(self, last=number - 1) if descending else replace(self, first=number + 1)

    @property
    def is_empty(self) -> bool:
        return self.first > self.last

    @property
    def bounds(self) -> tuple[str, str]:
        """Return the span as texts. They sort as ids do, but need not be ids that an order can have."""
        return f"{PREFIX}{self.first:032x}", f"{PREFIX}{self.last:032x}"


def _order_id(at: datetime, bits: int) -> OrderId:
    millis, micros = divmod(to_micros(at), 1000)
    value = millis << 80 | _VERSION << 76 | micros << 64 | _VARIANT << 62 | bits
    return OrderId(f"{PREFIX}{value:032x}")


def _number(order_id: str) -> int:
    return int(order_id.removeprefix(PREFIX), 16)
