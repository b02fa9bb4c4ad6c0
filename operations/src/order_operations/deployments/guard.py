"""Guard of a change that starts a deployment without `orderctl deploy`, such as a Terraform apply.

    with guarded(access, lock):
        …                                   # the change
    judgement.judge(access.fleet)           # when the deployment has ended

It takes the lock of `orderctl deploy`, and obeys the same freeze and the same checks of the traffic and of drift.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from order_operations.deployments.checks import Check, Override, Verdict, overridden, passed, refusal
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
        """Return the checks before a change: no freeze, no deployment under way, no drift, sound traffic.

        Of a service that the change creates, only the freeze is checked.
        """
        frozen = check_freeze(self.freezes.get(), self.fleet.ref)
        if not self.fleet.exists():
            return [frozen]
        return [
            frozen,
            check_none_under_way(self.fleet),
            check_drift(state_of(self.fleet, self.repository)),
            *self.traffic.check(self.fleet.describe(), self.fleet.ref),
        ]


@contextmanager
def guarded(access: ServiceAccess, lock: Exclusion, despite: Collection[Override] = ()) -> Iterator[Sequence[Check]]:
    """Hold the lock during the block, if the checks pass that are not overridden by `despite`.

    A block that lasts must extend the lock.

    Raises:
        Locked: if another operator holds the lock.
        DeploymentRefused: if a check fails. Nothing was changed.
    """
    lock.take()
    try:
        checks = overridden(access.checks(), despite)
        if not passed(checks):
            failed = "; ".join(check.detail for check in checks if check.verdict is Verdict.FAIL)
            raise DeploymentRefused(f"{failed}; {refusal(checks)}")
        yield checks
    finally:
        lock.release()
