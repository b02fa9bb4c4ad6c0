"""Speaking to the API as a customer does."""

import json
import os
from pathlib import Path

from order_client import OrderClient
from orderctl.local.issuer import Issuer
from orderctl.local.stack import ISSUER_KEY_FILE, STACK_FILE
from orderctl.operate.target import StackNotRunning

API_VARIABLE = "ORDER_API_URL"
TOKEN_VARIABLE = "ORDER_TOKEN"  # noqa: S105 - the variable's name


class ApiNotNamed(Exception):
    def __init__(self) -> None:
        super().__init__(
            f"which API, and as whom? Set {API_VARIABLE} and {TOKEN_VARIABLE}; "
            "or use --local with --tenant and --customer"
        )


def client_of_local_stack(state: Path, tenant: str, customer: str) -> OrderClient:
    """A customer of the stack that `orderctl local up` runs, with a development token. Raises StackNotRunning."""
    try:
        address = json.loads((state / STACK_FILE).read_text())["api"]
    except FileNotFoundError:
        raise StackNotRunning(state) from None
    return OrderClient(address, Issuer.at(state / ISSUER_KEY_FILE).token(tenant, customer))


def client_of_environment() -> OrderClient:
    """Raises ApiNotNamed, and ValueError for an address that is none."""
    address, token = os.environ.get(API_VARIABLE), os.environ.get(TOKEN_VARIABLE)
    if not address or not token:
        raise ApiNotNamed
    return OrderClient(address, token)
