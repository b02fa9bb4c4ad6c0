"""Customers of the chaos runs: what they buy, how they pay, and whether they change their minds."""

import asyncio
from random import Random

from devstack.lab.history import History, Purchase
from devstack.lab.shoppers import Customer, Shop
from devstack.payments.bank import Token

PATIENCE_SECONDS = 60.0

TOKENS = [None, None, None, Token.WORKS, Token.WORKS, Token.WORKS, Token.DECLINED, Token.FAILS_ONCE, Token.SAVES_500]
CANCELS = 0.3
GIVES_UP = 0.15
POSTS_TWICE = 0.1
NAMES_A_REFERENCE = 0.3


async def go_shopping(shop: Shop, history: History, number: int, seed: str, skus: list[str]) -> None:
    """Let one customer of a seed buy, pay and cancel by the dice. Some give up at the first unanswered request."""
    dice = Random(f"{seed}/{number}")  # noqa: S311 - reproducible, not secret
    name = f"c{number}"
    token = dice.choice(TOKENS)
    quantities = {sku: dice.randint(1, 3) for sku in dice.sample(skus, dice.choice([1, 1, 2]))}
    purchase = Purchase(name, quantities, is_paid=token is not None)
    customer = Customer(shop, history, purchase, dice, patience=0 if dice.random() <= GIVES_UP else PATIENCE_SECONDS)
    reference = f"ref-{name}" if dice.random() < NAMES_A_REFERENCE else None
    posts = 2 if dice.random() < POSTS_TWICE else 1
    ids = await asyncio.gather(*(customer.place(token, reference) for _ in range(posts)))
    order_id = next(filter(None, ids), None)
    if order_id is not None and dice.random() < CANCELS:
        await asyncio.sleep(dice.choice([0, dice.uniform(0, 0.3), dice.uniform(0.3, 2)]))  # at any point of its way
        await customer.cancel(order_id)
