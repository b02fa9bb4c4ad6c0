"""The stacks of an environment: their names, where each keeps its state, and the order in which they come and go."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from infra.environments import FEATURE_PREFIX, ORGANISATION, Environment, UnknownEnvironment, environment_of
from order_shared.naming import SERVICE_NAMES

ACCOUNT = "account"
"""Owns what one account and region has once."""

PROJECT = "order-platform"

KEY = re.compile(r"(?P<owner>[a-z0-9-]+)/(?P<region>[a-z0-9-]+)/(?P<kind>[a-z-]+)\.tfstate")
WORKSPACE = re.compile(rf"{PROJECT}-(?P<owner>.+)-(?P<region>[a-z]{{2}}(?:-[a-z]+)+-\d)-(?P<kind>[a-z-]+)")


class App(StrEnum):
    """Which of the two apps writes a stack."""

    SUPPORTING = "supporting"
    SERVICES = "services"


REGISTRY, SUPPORTING = "registry", "supporting"

KINDS = (REGISTRY, SUPPORTING, *SERVICE_NAMES)
"""The kinds of stacks: two, and one for each service."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    owner: str
    """The environment's name, or `ACCOUNT`."""
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
        """Of its state in the bucket."""
        return f"{self.owner}/{self.region}/{self.kind}.tfstate"

    @property
    def workspace(self) -> str:
        """Of its state in HCP Terraform."""
        return f"{PROJECT}-{self.owner}-{self.region}-{self.kind}"

    @property
    def is_feature(self) -> bool:
        return self.owner.startswith(FEATURE_PREFIX)

    @property
    def host(self) -> str | None:
        """The environment that a feature environment stands on."""
        try:
            return environment_of(self.owner).host if self.is_feature else None
        except UnknownEnvironment:
            return None

    @classmethod
    def of_key(cls, key: str) -> Self | None:
        """None if no stack keeps its state under it, as with a lock."""
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
    """Where it needs a registry: in its own regions, and in the account's, which has the boundary of all roles. A
    feature environment uses its host's."""
    return () if environment.is_feature else tuple(dict.fromkeys((ORGANISATION.region, *environment.regions)))


def leaving_stacks(environment: Environment, region: str) -> tuple[Stack, ...]:
    """Return the stacks of a region that the environment leaves, in the order of deploying."""
    if region not in environment.leaving_regions:
        return ()
    return tuple(Stack(owner=environment.name, region=region, kind=kind) for kind in (SUPPORTING, *SERVICE_NAMES))


def stacks_of(environment: Environment) -> tuple[Stack, ...]:
    """In the order of deploying: what others read comes first.

    Of the supporting stacks that of the first region comes last: its tables are replicated to the others, under keys
    of theirs. Of the services those that stand by come first: when another region becomes home, the former one has
    ceased to write before the new one begins.

    Destroying goes the same way backwards: all services of all regions before anything that they stand on.
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
