"""Rules that a value must obey, each a function that returns what is wrong with it, or None."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network

import regex

from tests.infra.aws.values import Scalar

Rule = Callable[[Scalar], str | None]

JAVA_SUPPLEMENTARY = r"\uD800\uDC00-\uDBFF\uDFFF"
"""How Java's patterns, which AWS publishes, write the characters beyond the 16-bit ones."""


@dataclass(frozen=True)
class Fact:
    """A rule, and the page or the source file that it was read in."""

    rule: Rule
    source: str


def is_accepted(pattern: str, text: str) -> bool:
    """Return whether a whole text matches a pattern as AWS publishes it."""
    return regex.fullmatch(pattern.replace(JAVA_SUPPLEMENTARY, r"\U00010000-\U0010FFFF"), text) is not None


def one_of(*allowed: Scalar) -> Rule:
    """Allow these values only."""
    return lambda value: None if value in allowed else f"allowed: {', '.join(map(str, allowed))}"


def within(least: float, most: float) -> Rule:
    """Allow numbers in a range."""
    return lambda value: None if least <= float(value) <= most else f"{least} to {most} is allowed"


def between(least: int, most: int) -> Rule:
    """Allow whole numbers in a range, also when they are written as text."""
    return lambda value: (
        None if str(value).isdecimal() and least <= int(value) <= most else f"{least} to {most} is allowed"
    )


def at_least(least: int) -> Rule:
    """Allow whole numbers from this one on, also when they are written as text."""
    return lambda value: None if str(value).isdecimal() and int(value) >= least else f"at least {least} is required"


def length(least: int, most: int) -> Rule:
    """Allow texts of a number of characters."""
    return lambda value: None if least <= len(str(value)) <= most else f"{least} to {most} characters are allowed"


def matches(pattern: str) -> Rule:
    """Allow texts that match a pattern as a whole."""
    return lambda value: None if is_accepted(pattern, str(value)) else f"does not match {pattern}"


def boolean(value: Scalar) -> str | None:
    """Allow true and false."""
    return None if isinstance(value, bool) else "true or false is required"


def reference(value: Scalar) -> str | None:
    """Allow a reference to another resource, whose value only a plan knows."""
    return None if "${" in str(value) else "a reference is required"


def period(value: Scalar) -> str | None:
    """Allow the periods of CloudWatch's metrics, in seconds."""
    seconds = int(value)
    return None if seconds in {1, 5, 10, 20, 30} or seconds % 60 == 0 < seconds else "whole minutes are required"


def cidr(value: Scalar) -> str | None:
    """Allow an IPv4 network whose host bits are 0."""
    try:
        ip_network(str(value))
    except ValueError as error:
        return str(error)
    return None
