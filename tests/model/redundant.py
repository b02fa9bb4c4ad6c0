"""Guards whose removal breaks nothing, with the reason, and the guards that do the same work.

Without a guard and its partners together, a property must break. A guard without partners saves work only: the order
takes another way to the same end.
"""

from collections.abc import Mapping

REDUNDANT: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "same status": ("every change of the status raises the fence", ("same fence",)),
    "same fence": ("each change of the fence changes the status or the owner", ("same status", "same owner")),
    "same owner": ("every change of the owner raises the fence", ("same fence",)),
    "in the outbox": ("an order that leaves the outbox has no due time", ("still due",)),
    "still due": ("an order that is no longer due has mostly left the outbox", ("in the outbox",)),
    "order waits": ("without it a message is given up early, and its order waits for a sweep", ()),
    "other lease": ("without it a failure is counted, and the attempt's own lease ends by time", ()),
    "after the lease": ("a worker that holds a lease has a message in flight", ("after the backlog",)),
    "units to move": ("a consolidation of no units changes nothing", ()),
    "planned": ("a transaction with no units to move is that without moves", ()),
}
