"""What orderctl deploys to, without AWS: the fake of ECS, and the embedded AWS with the tables and queues beside it."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack.emulator import HOST, start_emulator
from devstack.processes import Child, ProcessGroup
from devstack.provision import provision
from devstack.stack import KEY, READY_SECONDS, REGION, local_session

ENVIRONMENT = "dev"
EMBEDDED = ("dynamodb", "sqs", "sts")
FAKED = ("ecs", "ecr", "elastic_load_balancing_v2", "cloudwatch")
"""botocore's names of services, as they stand in `AWS_ENDPOINT_URL_…`."""


@dataclass(frozen=True)
class EcsStack:
    """`endpoints` by the name of the service, as in `AWS_ENDPOINT_URL_<NAME>`."""

    group: ProcessGroup
    ecs: Child
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
    """By which `orderctl deploy` and all its kin work there, and nowhere else."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": REGION,
        **{f"AWS_ENDPOINT_URL_{name.upper()}": url for name, url in endpoints.items()},
    }


@contextlib.contextmanager
def running_ecs_stack(
    logs: Path, *, speed: float, bake_minutes: int = 10, pause_minutes: int = 60
) -> Iterator[EcsStack]:
    """One account with the environment dev: both services run their first image. On leaving, everything has ended.

    At speed 60 a bake of ten minutes takes ten seconds.
    """
    with ProcessGroup(logs) as group:
        command = [sys.executable, "-m", "fake_ecs", "--environment", ENVIRONMENT, "--speed", str(speed)]
        command += ["--bake-minutes", str(bake_minutes), "--pause-minutes", str(pause_minutes)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        ecs = group.start("ecs", command, environment)
        _, embedded = start_emulator(group, services=EMBEDDED)
        provision(local_session(), endpoint=embedded, prefix=f"{ENVIRONMENT}-")
        ecs.wait_until(lambda: ecs.listening_port() is not None, "listening", READY_SECONDS)
        faked = f"http://{HOST}:{ecs.listening_port()}"
        yield EcsStack(group, ecs, endpoints_of(faked, embedded))
