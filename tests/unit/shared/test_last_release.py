"""The last release reads the items of this one: both run at the same time during a deployment."""

import json
from dataclasses import replace
from pathlib import Path

from order_api.order.schemas import OrderIn
from order_api.order.service import PlaceOrder
from order_shared.domain.idempotency import RecordKind, record_key
from order_shared.domain.order.messages import ProcessingRequested
from order_shared.domain.order.payments import PaymentCall, Undo, UndoKind
from order_shared.storage.order_items import to_item
from order_shared.storage.orders import reference_key
from tests import last_release
from tests.factories import make_customer, make_order

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


FINGERPRINTS = """
import json, sys
from order_api.order.schemas import OrderIn
from order_api.order.service import Wanted
from order_shared.idempotency import ClaimKind, claim_key
from order_shared.order.models import Customer
ada = Customer(tenant="acme", id="ada")
for body in json.load(sys.stdin):
    order = OrderIn.model_validate(body)
    wanted = Wanted(ada, order.quantities, order.reference, order.payment_token)
    print(wanted.fingerprint(), claim_key(ada, ClaimKind.REFERENCE, order.reference or ""))
"""


KEYS = """
import json, sys
from order_shared.idempotency import ClaimKind, claim_key
from order_shared.order.events import parse_event
from order_shared.order.models import Customer
for name, event in json.load(sys.stdin):
    customer = Customer(tenant="acme", id=name)
    print(json.dumps([customer.key, claim_key(customer, ClaimKind.ORDER, "k"), parse_event(event).customer.key]))
"""


def test_a_customer_has_the_same_keys_in_both_releases(tmp_path: Path) -> None:
    """Also one whose subject the last release refuses: it processes the order by the stored form in the message."""
    former = ["ada", "auth0|64b.7", "ada@example.com", "urn:acme:7", "A_b-C", "x" * 128]
    subjects = [*former, "user+tag@example.com", "CN=Ada,O=Acme", "100%", "a#b", "%61da", "x" * 255]
    orders = [make_order(customer=make_customer(id=subject)) for subject in subjects]
    asked = [(order.customer.stored_id, ProcessingRequested.of(order).to_json(former_type=True)) for order in orders]
    printed = last_release.run(last_release.extract(tmp_path), KEYS, json.dumps(asked)).splitlines()
    for order, line in zip(orders, printed, strict=True):
        key = order.customer.key
        assert json.loads(line) == [key, record_key(order.customer, RecordKind.ORDER, "k"), key]
    assert [order.customer.stored_id for order in orders[: len(former)]] == former


def test_a_request_has_the_same_fingerprint_in_both_releases(tmp_path: Path) -> None:
    """A retry at the other release is a replay, also where this one stores the reference in another form."""
    pythonpath = last_release.extract(tmp_path)
    references = [None, "PO-7", " PO-7 ", "caf\u00e9", "cafe\u0301", "\u212b", "a\u00a0"]
    lines = [{"sku": "TEA", "quantity": 2}, {"sku": "CUP", "quantity": 1.0}, {"sku": "TEA", "quantity": 1}]
    bodies = [{"lines": lines, "reference": reference} for reference in references]
    printed = last_release.run(pythonpath, FINGERPRINTS, json.dumps(bodies)).splitlines()
    ada = make_customer()
    for body, line in zip(bodies, printed, strict=True):
        order = OrderIn.model_validate(body)
        request = PlaceOrder(customer=ada, quantities=order.quantities, reference=order.reference, placed_by="backend")
        assert line.split() == [request.fingerprint(), reference_key(ada, order.reference or "")]


def test_the_previous_release_reads_an_order_until_a_payment_is_undone_or_retried(tmp_path: Path) -> None:
    pythonpath = last_release.extract(tmp_path)
    """It refuses an order with a history, too."""
    order = make_order(
        payment_token="pm_card_visa", placed_by="backend", metadata={"cart": "7"}, stores_history=False
    ).with_payment("pi_1")
    undone, numbered = order.begin_undo(Undo(UndoKind.REPLACE)), order.with_next_attempt(PaymentCall.CONFIRM)
    orders = [order, undone, numbered, replace(order, stores_history=True)]
    printed = last_release.run(pythonpath, READ, json.dumps([to_item(each) for each in orders])).splitlines()
    assert all(line.startswith(str(tmp_path)) for line in printed)
    read, *refused = (line.partition(" ")[2] for line in printed)
    assert read == order.order_id
    assert refused == ["orders: an item of version 3, and this release reads 0 to 2"] * 3
