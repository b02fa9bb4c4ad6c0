"""Order ids. Each is a UUIDv7 that contains the order's `created_at`, the range key of its item.

    ord_ 0197f3c2a1b0 7 07b 9...
         48-bit ms    │ │   62 random bits
                      │ microseconds within the millisecond (0 to 999)
                      version

An order is therefore read by id with one strongly consistent GetItem on (customer, created_at), without an index.
"""

from datetime import datetime
from typing import NewType

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
    millis, micros = divmod(to_micros(created_at), 1000)
    value = millis << 80 | _VERSION << 76 | micros << 64 | _VARIANT << 62 | random_bits(_RANDOM_BITS)
    return OrderId(f"{PREFIX}{value:032x}")


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
