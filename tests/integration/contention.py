"""Storage in which transactions meet other writers, or lose their responses."""

from collections.abc import Awaitable, Callable, Sequence

from order_shared.aws.dynamodb import Dynamo
from order_shared.aws.encoding import WriteOperation


class Overtaken(Dynamo):
    """Storage in which `other` writes before the first transaction."""

    other: Callable[[], Awaitable[object]] | None = None

    async def transact_write(self, operations: Sequence[WriteOperation]) -> None:
        other, self.other = self.other, None
        if other is not None:
            await other()
        await super().transact_write(operations)


def overtaken(dynamo: Dynamo, other: Callable[[], Awaitable[object]]) -> Dynamo:
    found = Overtaken(dynamo.client)
    found.other = other
    return found


class Conflicting(Dynamo):
    """Storage in which every transaction without retries meets another one and is cancelled."""

    async def try_transact_write(self, operations: Sequence[WriteOperation]) -> bool:  # noqa: ARG002 - nothing is sent
        return False


class LosingResponses(Dynamo):
    """Storage in which the response of every transaction without retries is lost."""

    async def try_transact_write(self, operations: Sequence[WriteOperation]) -> bool:
        await super().try_transact_write(operations)
        return False
