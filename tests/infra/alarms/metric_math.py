"""The part of CloudWatch's metric math that the alarms use: arithmetic, comparisons, IF and FILL.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import operator
from collections.abc import Callable, Mapping
from functools import cache
from types import CodeType

Operation = Callable[[float, float], float]

Value = float | None
"""One value of a time series; None where the series has no data point."""


class Term:
    """A value within an expression: what is computed from a missing value is missing."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def _combine(self, other: "Term | float", compute: Operation, *, swap: bool = False) -> "Term":
        ours, theirs = self.value, other.value if isinstance(other, Term) else other
        if ours is None or theirs is None:
            return Term(None)
        return Term(compute(theirs, ours) if swap else compute(ours, theirs))

    def __add__(self, other: "Term | float") -> "Term":
        return self._combine(other, operator.add)

    def __mul__(self, other: "Term | float") -> "Term":
        return self._combine(other, operator.mul)

    def __rmul__(self, other: float) -> "Term":
        return self._combine(other, operator.mul, swap=True)

    def __truediv__(self, other: "Term | float") -> "Term":
        return self._combine(other, lambda ours, theirs: ours / theirs if theirs else 0.0)

    def __gt__(self, other: "Term | float") -> "Term":
        return self._combine(other, operator.gt)

    def __ge__(self, other: "Term | float") -> "Term":
        return self._combine(other, operator.ge)


def _fill(term: Term, value: float) -> Term:
    return Term(value) if term.value is None else term


def _if(condition: Term, then: Term | float, otherwise: Term | float) -> Term:
    if condition.value is None:
        return condition
    chosen = then if condition.value else otherwise
    return chosen if isinstance(chosen, Term) else Term(chosen)


@cache
def _compiled(expression: str) -> CodeType:
    return compile(expression, "expression", "eval")


def evaluate(expression: str, metrics: Mapping[str, Value], *, fills_always: bool) -> Value:
    """Evaluate an expression for one period, from the values of its metrics by their ids.

    AWS does not say what FILL makes of a period in which no metric of the expression has a data point: it has one then
    if `fills_always`, and none otherwise.
    """
    if not fills_always and all(value is None for value in metrics.values()):
        return None
    names = {name: Term(value) for name, value in metrics.items()}
    result = eval(_compiled(expression), {"__builtins__": {}}, {**names, "FILL": _fill, "IF": _if})  # noqa: S307 - of our own stacks
    return result.value if isinstance(result, Term) else float(result)
