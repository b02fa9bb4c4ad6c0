"""Byte streams of client connections, generated from a seed: pipelined requests, well-formed or odd, in pieces."""

from dataclasses import dataclass
from itertools import pairwise
from random import Random

from tests.fuzz.framing.messages import Message, Request, make_message
from tests.fuzz.framing.oddities import ODDITIES, change_bytes

CANARY = Message(target=b"/canary", headers=[b"Host: api.test"])
"""The last request of every stream: a parser that has lost track of the requests before it does not read it."""

MAX_MESSAGES = 3
BYTE_BY_BYTE = 700
"""Longest stream that may be sent byte by byte; a longer one is cut at random."""


@dataclass(frozen=True)
class Stream:
    """One connection's bytes.

    `expected` holds the requests of a well-formed stream, and is None for one that may be refused. With
    `answers_early` the application answers before it reads the body, so that only the heads are compared.
    """

    name: str
    oddities: tuple[str, ...]
    pieces: tuple[bytes, ...]
    expected: tuple[Request, ...] | None
    answers_early: bool

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


def make_stream(seed: int, number: int) -> Stream:
    """Generate the stream of this number: the same for the same seed, whatever was generated before."""
    dice = Random(f"{seed}/{number}")  # noqa: S311 - reproducible, not secret
    early = dice.random() < 0.15
    messages = [make_message(dice, may_expect=not early) for _ in range(dice.randint(1, MAX_MESSAGES))]
    messages.append(CANARY)
    oddities: list[str] = []
    expected: tuple[Request, ...] | None = None
    if dice.random() < 0.4:
        expected = _expected(messages)
        data = _encode(messages)
    else:
        for _ in range(dice.choice([0, 1, 1, 1, 2, 3])):
            name = dice.choice(list(ODDITIES))
            ODDITIES[name](dice, messages[dice.randrange(len(messages) - 1)])
            oddities.append(name)
        data = _encode(messages[:-1])
        if not oddities or dice.random() < 0.1:
            data = change_bytes(dice, data)
            oddities.append("bytes changed")
        data += CANARY.encode()
    return Stream(f"{seed}/{number}", tuple(oddities), _cut(dice, data), expected, early)


def _encode(messages: list[Message]) -> bytes:
    return b"".join(message.encode() for message in messages)


def _expected(messages: list[Message]) -> tuple[Request, ...]:
    """Return the requests up to the first that closes the connection."""
    requests = []
    for message in messages:
        requests.append(message.request)
        if message.closes:
            break
    return tuple(requests)


def _cut(dice: Random, data: bytes) -> tuple[bytes, ...]:
    choice = dice.random()
    if choice < 0.4:
        return (data,)
    if choice < 0.45 and len(data) <= BYTE_BY_BYTE:
        return tuple(data[at : at + 1] for at in range(len(data)))
    if choice < 0.7:
        line_breaks = [at for at, byte in enumerate(data) if byte in b"\r\n"]
        cuts = {at + dice.randint(0, 1) for at in line_breaks if dice.random() < 0.3}
    else:
        cuts = {dice.randrange(1, len(data)) for _ in range(dice.randint(1, 6))}
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    return tuple(data[start:end] for start, end in pairwise(edges))
