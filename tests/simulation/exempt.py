"""Mutants that the simulation need not find, each with its reason, and functions that it does not run."""

from collections.abc import Mapping

NOT_SIMULATED: Mapping[str, str] = {
    "service.OrderService.get_when": "waiting for an order changes nothing; unit/api/test_http_waiting.py",
    "service.OrderService.list_orders": "a list changes nothing; unit/api/test_http_listing.py",
    "sweeper.Sweeper.report": "reports only; unit/processor/test_outbox_report.py",
    "sweeper.Sweeper.count_parked": "reports only; unit/processor/test_outbox_report.py",
    "sweeper.Sweeper._count_messages": "decides only how fast a sweep adds messages; simulation/test_scenarios.py",
    "consumer.Consumer._observe": "measures only; unit/shared/test_consumer_metrics.py",
}

EXEMPT: Mapping[str, str] = {}
"""Reason by mutant, as `python -m tests.simulation.mutants --list` names it."""
