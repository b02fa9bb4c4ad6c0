"""HTML of the start page: every address, a token, commands to paste, the cards of the payment sandbox."""

from collections.abc import Mapping
from typing import Any

import htpy as h

from devstack.issuer import DEFAULT_TTL_SECONDS
from devstack.lab.process import LAB
from devstack.lab.visitor import CUSTOMER, TENANT
from devstack.payments.bank import Token

CARDS: Mapping[Token, str] = {
    Token.WORKS: "is charged",
    Token.DECLINED: "is declined: the order is rejected",
    Token.AUTHENTICATION: "needs authentication, so it is declined",
    Token.SLOW: "is charged after three seconds",
    Token.FAILS_ONCE: "fails once with a server error, then it is charged",
    Token.SAVES_500: "fails once with a saved error: only another idempotency key succeeds",
    Token.REFUND_SAVES_500: "is charged; its refund fails once with a saved error",
    Token.BANK_DEBIT: "is a bank debit, which the processor does not allow",
}


def commands(api: str, token: str) -> str:
    """Return commands for a shell. They work when they are pasted as they are."""
    return f"""\
API={api}
TOKEN={token}

# Place an order, and pay it by card.
ORDER=$(curl -s "$API/v1/orders" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -H "Idempotency-Key: $(date +%s%N)" \\
  -d '{{"lines": [{{"sku": "TEA-GREEN-100", "quantity": 2}}], "payment_token": "pm_card_visa"}}' \\
  | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')

# Wait up to five seconds for its end.
curl -s "$API/v1/orders/$ORDER" -H "Authorization: Bearer $TOKEN" -H "Prefer: wait=5"

# The events of all your orders, oldest first; an event comes a second or two after its change. Then the stock.
curl -s "$API/v1/events?limit=5" -H "Authorization: Bearer $TOKEN"
curl -s "$API/v1/products/TEA-GREEN-100" -H "Authorization: Bearer $TOKEN"
"""


def start_content(stack: Mapping[str, Any], token: str) -> h.Node:
    """Return the main content. `stack` is the content of `stack.json`."""
    api = stack["api"]
    return [
        h.p["The order platform runs on this machine. It stops with Ctrl-C in its terminal, and keeps its data."],
        h.ul[
            h.li[h.a(href=LAB)["The Lab"], ": place orders, kill processes, see that nothing is lost"],
            h.li[h.a(href=f"{api}/pages/api")["API reference"], ": every operation, field and error"],
            h.li[h.a(href=f"{api}/pages/errors")["Errors"], " of the API, with what to do"],
            h.li[h.a(href=f"{stack['payments']}/_sandbox/intents")["Payments"], " of the payment sandbox, as JSON"],
        ],
        h.h2["A token"],
        h.p[
            f"For the customer {CUSTOMER} of the shop {TENANT}, with all scopes, valid for "
            f"{DEFAULT_TTL_SECONDS // 3600} hours:"
        ],
        h.p[h.label(for_="token")["Token"], h.input("#token", readonly=True, value=token)],
        h.p(".quiet")["For others: ", h.code["make token TENANT=globex CUSTOMER=bob"]],
        h.h2["Commands to paste"],
        h.pre("#commands", tabindex="0")[h.code[commands(api, token)]],
        h.h2["Payment methods of the sandbox"],
        h.div(".scroll", tabindex="0", role="region", aria_label="Payment methods")[
            h.table[
                h.thead[h.tr[h.th(scope="col")["payment_token"], h.th(scope="col")["An order with it"]]],
                h.tbody[((h.tr[h.td[h.code[token]], h.td[meaning]]) for token, meaning in CARDS.items())],
            ]
        ],
        h.h2["Addresses"],
        h.dl(".facts")[((h.dt[name], h.dd[h.code[address]]) for name, address in addresses(stack)),],
    ]


def addresses(stack: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        *stack["services"].items(),
        ("embedded AWS", stack["aws"]),
        ("payment sandbox", stack["payments"]),
        ("token issuer", stack["token_url"]),
    ]
