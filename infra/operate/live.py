"""Checks of the live environment before a change, to find out whether the change would stop running services."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from infra.environments import Environment, Provisioned, Strategy
from infra.operate.aws import Account
from infra.operate.indexes import indexes_change
from infra.operate.running import require_blue_is_live, require_instances_unused
from infra.stacks import SUPPORTING, Stack
from order_shared.naming import ORDER_API
from orderctl.terminal import errors

INDEXES_CHANGE = "--indexes-change"


def check_live(
    account: Account, environment: Environment, stacks: Sequence[Stack], existing: AbstractSet[Stack]
) -> tuple[str, ...]:
    """Check the live environment, and return further command-line options for the synthesis of the stacks.

    Raises:
        Refused: if changing one of these stacks would stop running services.
    """
    options: tuple[str, ...] = ()
    for stack in stacks:
        if stack not in existing:
            continue
        if stack.kind == SUPPORTING:
            _check_instances(account, environment, stack)
            options += _check_tables(account, environment, stack)
        if stack.kind == ORDER_API.name and environment.deployment.strategy is Strategy.ROLLING:
            ecs, elbv2 = (account.client(service, stack.region) for service in ("ecs", "elbv2"))
            require_blue_is_live(ecs, elbv2, environment)
    return options


def _check_instances(account: Account, environment: Environment, stack: Stack) -> None:
    if not environment.has_instances and not environment.is_feature:
        require_instances_unused(account.client("ecs", stack.region), environment)


def _check_tables(account: Account, environment: Environment, stack: Stack) -> tuple[str, ...]:
    if stack.region != environment.regions[0]:
        return ()
    changes = indexes_change(account.client("dynamodb", stack.region), environment)
    if not changes or not isinstance(environment.billing, Provisioned):
        return ()
    errors.print(
        f"billing or indexes change: each index starts with {environment.billing.minimum} units, and autoscaling "
        "raises it; deploy this in a quiet hour",
        style="yellow",
    )
    return (INDEXES_CHANGE,)
