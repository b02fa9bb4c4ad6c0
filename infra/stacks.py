"""Stacks of an environment: names, location of their state, and the order of creation and destruction."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from infra.environments import FEATURE_PREFIX, ORGANISATION, Environment, UnknownEnvironment, environment_of
from order_shared.naming import SERVICE_NAMES

ACCOUNT = "account"
"""Owner of the registry stack, which exists once in each account and region."""

PROJECT = "order-platform"

KEY = re.compile(r"(?P<owner>[a-z0-9-]+)/(?P<region>[a-z0-9-]+)/(?P<kind>[a-z-]+)\.tfstate")
WORKSPACE = re.compile(rf"{PROJECT}-(?P<owner>.+)-(?P<region>[a-z]{{2}}(?:-[a-z]+)+-\d)-(?P<kind>[a-z-]+)")


class App(StrEnum):
    """CDK app that synthesizes a stack."""

    SUPPORTING = "supporting"
    SERVICES = "services"


REGISTRY, SUPPORTING = "registry", "supporting"

KINDS = (REGISTRY, SUPPORTING, *SERVICE_NAMES)
"""Kinds of stacks: the registry, the supporting stack, and one for each service."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    owner: str
    """Name of the environment, or `ACCOUNT`."""
    region: str
    kind: str
    """One of `KINDS`."""

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.region}"

    @property
    def app(self) -> App:
        return App.SERVICES if self.kind in SERVICE_NAMES else App.SUPPORTING

    @property
    def key(self) -> str:
        """Key of the stack's state in the state bucket."""
        return f"{self.owner}/{self.region}/{self.kind}.tfstate"

    @property
    def workspace(self) -> str:
        """Name of the HCP Terraform workspace with the stack's state."""
        return f"{PROJECT}-{self.owner}-{self.region}-{self.kind}"

    @property
    def is_feature(self) -> bool:
        return self.owner.startswith(FEATURE_PREFIX)

    @property
    def host(self) -> str | None:
        """Name of the host environment if the stack belongs to a feature environment, otherwise None."""
        try:
            return environment_of(self.owner).host if self.is_feature else None
        except UnknownEnvironment:
            return None

    @classmethod
    def of_key(cls, key: str) -> Self | None:
        """Return the stack with this state key; None if the key is not that of a state, such as that of a lock."""
        return cls._of(KEY.fullmatch(key))

    @classmethod
    def of_workspace(cls, name: str) -> Self | None:
        return cls._of(WORKSPACE.fullmatch(name))

    @classmethod
    def _of(cls, match: re.Match[str] | None) -> Self | None:
        if match is None or match["kind"] not in KINDS:
            return None
        return cls(owner=match["owner"], region=match["region"], kind=match["kind"])


def registry_regions(environment: Environment) -> tuple[str, ...]:
    """Return the regions of an environment's registry stacks: its own, and the region of the account-wide resources.

    The result is empty for a feature environment, which uses its host's registries.
    """
    return () if environment.is_feature else tuple(dict.fromkeys((ORGANISATION.region, *environment.regions)))


def leaving_stacks(environment: Environment, region: str) -> tuple[Stack, ...]:
    """Return the stacks in one of the environment's `leaving_regions`, in the order of creation; none in others."""
    if region not in environment.leaving_regions:
        return ()
    return tuple(Stack(owner=environment.name, region=region, kind=kind) for kind in (SUPPORTING, *SERVICE_NAMES))


def stacks_of(environment: Environment) -> tuple[Stack, ...]:
    """Return an environment's stacks in the order of creation: a stack comes after the stacks that it reads.

    The first region's supporting stack comes after those of the other regions, whose keys encrypt the replicas of its
    tables. The services of standby regions come before those of the home region: when the home region changes, the
    former one stops writing before the new one starts.

    Destruction uses the reverse order: the services of all regions, then the stacks that they need.
    """
    first, *further = environment.regions
    standing_by = [region for region in environment.regions if region != environment.home]
    registries = [Stack(owner=ACCOUNT, region=region, kind=REGISTRY) for region in registry_regions(environment)]
    supporting = [Stack(owner=environment.name, region=region, kind=SUPPORTING) for region in (*further, first)]
    services = [
        Stack(owner=environment.name, region=region, kind=kind)
        for region in (*standing_by, environment.home)
        for kind in SERVICE_NAMES
    ]
    return (*registries, *supporting, *services)
