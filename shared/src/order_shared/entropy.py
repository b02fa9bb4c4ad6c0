"""Random values for ids, tokens and lease owners, all from one source.

The source is the operating system's random generator. A simulation replaces it with a seeded generator, so that a run
can be repeated.
"""

import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

_source: random.Random = random.SystemRandom()


def random_bits(bits: int) -> int:
    """Return a random non-negative integer of at most `bits` bits, suitable for secrets."""
    return _source.getrandbits(bits)


def random_uuid() -> uuid.UUID:
    """Return a new UUIDv4."""
    return uuid.UUID(int=random_bits(128), version=4)


@contextmanager
def entropy_from(source: random.Random) -> Iterator[None]:
    """Replace this module's source with `source` until the end of the block. For simulations only."""
    global _source  # noqa: PLW0603 - the one source of the process
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
