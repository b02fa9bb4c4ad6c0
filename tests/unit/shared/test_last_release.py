"""The last release reads the items of this one: both run at the same time during a deployment."""

import json
from pathlib import Path

from order_shared.domain.order.payments import PaymentCall, Undo, UndoKind
from order_shared.storage.order_items import to_item
from tests import last_release
from tests.factories import make_order

READ = """
import json, sys
import order_shared.order.items as items
from order_shared.versions import UnknownItemVersion
for item in json.load(sys.stdin):
    try:
        print(items.__file__, items.to_order(item).order_id)
    except UnknownItemVersion as error:
        print(items.__file__, error)
"""


def test_the_previous_release_reads_an_order_until_a_payment_is_undone_or_retried(tmp_path: Path) -> None:
    pythonpath = last_release.extract(tmp_path)
    order = make_order(payment_token="pm_card_visa").with_payment("pi_1")
    orders = [order, order.begin_undo(Undo(UndoKind.REPLACE)), order.with_next_attempt(PaymentCall.CONFIRM)]
    told = last_release.run(pythonpath, READ, json.dumps([to_item(each) for each in orders])).splitlines()
    assert all(line.startswith(str(tmp_path)) for line in told)
    read, undone, numbered = (line.partition(" ")[2] for line in told)
    assert read == order.order_id
    assert undone == numbered == "orders: an item of version 3, and this release reads 0 to 2"
