"""The comparison of consumers runs with this release's consumer."""

from dataclasses import replace

from tests.bench.consume import SUBJECTS, measure

OURS = [replace(subject, messages=100) for subject in SUBJECTS if subject.ours]


async def test_our_consumers_handle_each_message_once() -> None:
    figures = await measure(1, lambda _: None, OURS)

    assert {figure.subject for figure in figures} == {"ours, no-op", "ours, dispatched", "ours, orders"}
    assert all(value > 0 for figure in figures if figure.unit == "messages/s" for value in figure.values)
