"""compose.yaml as its tests look at it, and what its profiles tell the services."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import yaml

from order_api.config import ApiSettings
from order_notifier.config import NotifierSettings
from order_processor.config import ProcessorSettings
from order_shared.runtime.config import Settings
from tests.infra.profiles import LOCAL, settings_of
from tests.infra.synthesis import ROOT

COMPOSE = ROOT / "compose.yaml"
SETTINGS: Mapping[str, type[Settings]] = {
    "order-api": ApiSettings,
    "order-processor": ProcessorSettings,
    "order-notifier": NotifierSettings,
}
"""The services of the platform; all others are what they stand on, and what looks at them."""


@dataclass(frozen=True)
class Service:
    name: str
    body: Mapping[str, Any]

    @property
    def is_ours(self) -> bool:
        """It runs from the development image."""
        return "build" in self.body

    @property
    def is_one_shot(self) -> bool:
        """It ends by itself, so there is no health to check."""
        check: Mapping[str, Any] = self.body["healthcheck"]
        return check == {"disable": True}

    @property
    def command(self) -> list[str]:
        command: list[str] = self.body["command"]
        return command

    @property
    def environment(self) -> Mapping[str, Any]:
        environment: Mapping[str, Any] = self.body.get("environment", {})
        return environment

    @property
    def port(self) -> int:
        """Where one of ours listens."""
        return int(self.environment["ORDER_PORT"])

    @property
    def waits_for(self) -> Mapping[str, str]:
        """The condition of each service that it starts after."""
        return {name: wait["condition"] for name, wait in self.body.get("depends_on", {}).items()}

    @property
    def published(self) -> list[tuple[str, int, int]]:
        """Address and port of the host, and port of the container."""
        ports = (port.split(":") for port in self.body.get("ports", []))
        return [(address, int(host), int(container)) for address, host, container in ports]

    @property
    def writable(self) -> set[str]:
        """Paths in the container that everybody there may write."""
        paths = (each.partition(":") for each in self.body.get("tmpfs", []))
        return {path for path, _, options in paths if options == "mode=1777"}

    @property
    def mounts(self) -> list[tuple[str, str, str]]:
        """Path here, path in the container, mode."""
        volumes = (each.split(":") for each in self.body["volumes"])
        return [(source, target, *mode) for source, target, *mode in volumes if source.startswith(".")]

    @property
    def stores(self) -> set[str]:
        """Paths in the container of volumes that outlive it."""
        return {each.partition(":")[2] for each in self.body["volumes"] if not each.startswith(".")}

    def __str__(self) -> str:
        return self.name


@cache
def services() -> Mapping[str, Service]:
    bodies = yaml.safe_load(COMPOSE.read_text())["services"]
    return {name: Service(name, body) for name, body in bodies.items()}


def ours() -> list[Service]:
    return [service for service in services().values() if service.is_ours]


def addresses(variables: set[str]) -> dict[str, tuple[str, int]]:
    """Service and port, of each of these variables of the local profile that names a service of compose.yaml."""
    found = {}
    for name, value in settings_of(LOCAL).items():
        host, _, port = urlsplit(value).netloc.partition(":")
        if name in variables and host in services():
            found[name] = (host, int(port))
    return found
