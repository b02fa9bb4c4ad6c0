"""Guard of a change that starts a deployment without `orderctl deploy`, such as a Terraform apply.

    with guarded(access, lock):
        …                                   # the change
        judgement = await_judgement(access.fleet, poll_sleep)

It takes the lock of `orderctl deploy`, and obeys the same freeze and the same checks of the traffic and of drift.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from order_operations.deployments.checks import Check, passed, refusal
from order_operations.deployments.ecr_repository import EcrRepository
from order_operations.deployments.errors import DeploymentRefused
from order_operations.deployments.fleet import Fleet
from order_operations.deployments.freeze import FreezeStore
from order_operations.deployments.preflight import check_drift, check_freeze, check_none_under_way
from order_operations.deployments.status import state_of
from order_operations.deployments.traffic import Traffic


class Exclusion(Protocol):
    """The part of `lock.Lock` that a guarded change needs."""

    def take(self) -> None: ...
    def release(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ServiceAccess:
    """Access to one service in ECS, ECR, the load balancer and the operations table."""

    fleet: Fleet
    repository: EcrRepository
    traffic: Traffic
    freezes: FreezeStore

    def checks(self) -> list[Check]:
        """Return the checks before a change: no freeze, no deployment under way, no drift, sound traffic."""
        return [
            check_freeze(self.freezes.get(), self.fleet.ref),
            check_none_under_way(self.fleet),
            check_drift(state_of(self.fleet, self.repository)),
            *self.traffic.check(self.fleet.describe(), self.fleet.ref),
        ]


@contextmanager
def guarded(access: ServiceAccess, lock: Exclusion) -> Iterator[Sequence[Check]]:
    """Hold the lock during the block, if the checks pass. A block that lasts must extend the lock (`Lock.kept`).

    Raises:
        Locked: if another operator holds the lock.
        DeploymentRefused: if a check fails. Nothing was changed.
    """
    lock.take()
    try:
        checks = access.checks()
        if not passed(checks):
            failed = "; ".join(check.detail for check in checks if check.verdict == "FAIL")
            raise DeploymentRefused(f"{failed}; {refusal(checks)}")
        yield checks
    finally:
        lock.release()
