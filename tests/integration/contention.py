"""Another writer between the read and the write of a call."""

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
