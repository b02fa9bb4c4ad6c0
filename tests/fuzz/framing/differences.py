"""Comparison of both readings of a stream, and the run over many streams."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.fuzz.framing.server import MemoryServer
from tests.fuzz.framing.streams import Stream, make_stream
from tests.fuzz.framing.strict import Reading, read_strictly

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@dataclass(frozen=True)
class Difference:
    """A stream that the API reads otherwise than h11 without closing, or a well-formed stream that it refuses."""

    stream: Stream
    fault: str
    ours: Reading
    strict: Reading

    def __str__(self) -> str:
        oddities = ", ".join(self.stream.oddities) or "well-formed"
        return "\n".join(
            [
                f"stream {self.stream.name} ({oddities}): {self.fault}",
                f"sent:   {list(self.stream.pieces)}",
                f"ours:   {self.ours}",
                f"strict: {self.strict}",
            ]
        )


@dataclass
class Result:
    """Counts of a run: `requests` that the application received, odd streams whose connection was `closed`."""

    streams: int = 0
    well_formed: int = 0
    requests: int = 0
    closed: int = 0
    oddities: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        self.streams += other.streams
        self.well_formed += other.well_formed
        self.requests += other.requests
        self.closed += other.closed
        self.oddities += other.oddities
        self.differences += other.differences


async def run(seed: int, numbers: Iterable[int]) -> Result:
    """Compare the streams of these numbers."""
    server, result = MemoryServer(), Result()
    for number in numbers:
        stream = make_stream(seed, number)
        ours, difference = await compare(server, stream)
        result.streams += 1
        result.well_formed += stream.expected is not None
        result.requests += len(ours.requests)
        result.closed += stream.expected is None and ours.closed
        result.oddities.update(stream.oddities)
        if difference is not None:
            result.differences.append(difference)
    return result


async def compare(server: MemoryServer, stream: Stream) -> tuple[Reading, Difference | None]:
    """Read one stream with both parsers."""
    ours, sent = await server.read(stream.pieces, answers_early=stream.answers_early)
    strict = read_strictly(stream.data, heads_only=stream.answers_early)
    fault = _wrong_requests(stream, ours, strict) or _wrong_responses(ours, sent)
    return ours, Difference(stream, fault, ours, strict) if fault else None


def _wrong_requests(stream: Stream, ours: Reading, strict: Reading) -> str:
    if ours.requests != strict.requests[: len(ours.requests)]:
        return "the application received a request that h11 does not read there"
    if not ours.closed and ours.requests != strict.requests:
        return "a request is missing, and the connection is still open"
    if not ours.closed and strict.closed:
        return "the connection is still open where h11 ends it"
    if stream.expected is None:
        return ""
    expected = tuple(request._replace(body=b"") if stream.answers_early else request for request in stream.expected)
    if ours.requests != expected:
        return "a well-formed request was refused"
    return ""


def _wrong_responses(ours: Reading, sent: bytes) -> str:
    """Each request has one response, the application's 404. One refusal may follow, and then the connection closes."""
    statuses = STATUS.findall(sent)
    answers = statuses.count(b"404")
    refusals = len(statuses) - statuses.count(b"100") - answers
    if answers > len(ours.requests) or refusals > ours.closed:
        return "more responses than requests"
    if answers < len(ours.requests) and not ours.closed:
        return "fewer responses than requests"
    return ""
