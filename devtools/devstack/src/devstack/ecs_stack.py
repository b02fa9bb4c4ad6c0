"""Deployment target for orderctl without AWS: the fake of ECS, and the embedded AWS with tables and queues."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.emulator import start_emulator
from devstack.processes import ProcessGroup
from devstack.provision import provision
from devstack.stack import CREDENTIALS, local_session

ENVIRONMENT = "dev"
EMBEDDED = ("dynamodb", "sqs", "sts")
FAKED = ("ecs", "ecr", "elastic_load_balancing_v2", "cloudwatch")
"""Service names of botocore, as in `AWS_ENDPOINT_URL_…`."""


@dataclass(frozen=True)
class EcsStack:
    """Running fake account. `endpoints` maps service names, as in `AWS_ENDPOINT_URL_<NAME>`, to URLs."""

    group: ProcessGroup
    endpoints: Mapping[str, str]

    @property
    def ecs_address(self) -> str:
        return self.endpoints["ecs"]

    @property
    def environment(self) -> dict[str, str]:
        return variables(self.endpoints)


def endpoints_of(faked: str, embedded: str) -> dict[str, str]:
    return {**dict.fromkeys(FAKED, faked), **dict.fromkeys(EMBEDDED, embedded)}


def variables(endpoints: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that make every deployment command use only these endpoints."""
    return {**CREDENTIALS, **{f"AWS_ENDPOINT_URL_{name.upper()}": url for name, url in endpoints.items()}}


@contextlib.contextmanager
def running_ecs_stack(
    logs: Path,
    *,
    speed: float,
    strategy: str | None = None,
    never_start: Sequence[str] = (),
    embedded: str | None = None,
) -> Iterator[EcsStack]:
    """Run a fake account with the environment dev, whose services run their first image; yield it.

    `strategy` replaces the deployment strategy that infra sets for the API. The services in `never_start` were just
    created, and their first image never starts. At speed 60 a bake time of ten minutes takes ten seconds. `embedded` is
    the address of an embedded AWS that runs already; otherwise one is started. All processes that were started are
    stopped at the end of the block.
    """
    with ProcessGroup(logs) as group:
        command = [sys.executable, "-m", "fake_ecs", "--environment", ENVIRONMENT, "--speed", str(speed)]
        command += ["--strategy", strategy] if strategy else []
        command += [f"--never-starts={service}" for service in never_start]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        ecs = group.start("ecs", command, environment)
        embedded = embedded or start_emulator(group)[1]
        provision(local_session(), endpoint=embedded, prefix=f"{ENVIRONMENT}-")
        yield EcsStack(group, endpoints_of(ecs.wait_for_address(), embedded))
