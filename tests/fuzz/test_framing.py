"""A small, fixed part of `make fuzz-framing`."""

from structlog.testing import capture_logs

from tests.fuzz.framing.differences import run
from tests.fuzz.framing.oddities import ODDITIES

STREAMS = 3000


async def test_requests_end_where_a_strict_parser_ends_them() -> None:
    with capture_logs() as logs:
        result = await run(seed=1, numbers=range(STREAMS))
    assert not result.differences, "\n\n".join(map(str, result.differences[:3]))
    assert {line["event"] for line in logs} == {"connection_refused"}
    assert result.well_formed > STREAMS / 3
    assert result.oddities.keys() >= ODDITIES.keys()
