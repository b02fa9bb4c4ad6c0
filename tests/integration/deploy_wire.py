"""What verbs ask of AWS, overheard: which calls, with what, and where a test steps in."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from devstack.stack import KEY, REGION

Call = tuple[str, str]
"""botocore's names of a service and an operation."""


@dataclass
class Wire:
    """Every call that a verb makes. What is in `before` and `after` is done at calls of that operation."""

    calls: list[Call] = field(default_factory=list)
    requests: list[tuple[Call, dict[str, Any]]] = field(default_factory=list)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    after: dict[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    """Gets the answer, and may change it."""

    def asks(self, model: Any, **_: Any) -> None:
        if model.name in self.before:
            self.before[model.name]()

    def means(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        call = (model.service_model.service_name, model.name)
        self.calls.append(call)
        self.requests.append((call, params))

    def answers(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name in self.after:
            self.after[model.name](parsed)


class Session(boto3.Session):
    """With one client for each service and endpoint: making one takes as long as several calls."""

    def __init__(self) -> None:
        super().__init__(KEY, KEY, region_name=REGION)
        self._clients: dict[object, Any] = {}
        self._wires: list[Wire] = []
        events: Any = self.events
        events.register("before-parameter-build", functools.partial(self._tell, Wire.means))
        events.register("before-call", functools.partial(self._tell, Wire.asks))
        events.register("after-call", functools.partial(self._tell, Wire.answers))

    def client(self, service_name: str, **options: Any) -> Any:  # type: ignore[override]  # of literal names only
        endpoints = frozenset(item for item in os.environ.items() if item[0].startswith("AWS_ENDPOINT_URL_"))
        key = (service_name, endpoints, id(options.get("config")))
        if key not in self._clients:
            made: Any = super()
            self._clients[key] = made.client(service_name, **options)
        return self._clients[key]

    @contextmanager
    def tapped(self, wire: Wire) -> Iterator[None]:
        self._wires.append(wire)
        try:
            yield
        finally:
            self._wires.remove(wire)

    def _tell(self, heard: Callable[..., None], **what: Any) -> None:
        for wire in self._wires:
            heard(wire, **what)


@functools.cache
def session() -> Session:
    """One for all desks: reading botocore's models takes longer than a deployment."""
    return Session()
