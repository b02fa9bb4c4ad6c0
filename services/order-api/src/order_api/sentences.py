"""The sentence of each validation error: one table by field and one by error type, in our own words.

No text of a library is used: an error type without an entry gets the rule of its field.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from order_api.order.metadata import MAX_BYTES, MAX_KEY_LENGTH, MAX_KEYS, MAX_VALUE_LENGTH
from order_api.reader import Fault, escape_pointer, shorten
from order_api.webhook.limits import MAX_DESCRIPTION_LENGTH
from order_shared.domain.inventory.models import MAX_NAME_LENGTH, MAX_UNIT_PRICE
from order_shared.domain.money.currencies import DECIMALS
from order_shared.domain.order.events import EventType
from order_shared.domain.order.models import MAX_LINES, MAX_QUANTITY, MAX_REFERENCE_LENGTH, OrderStatus
from order_shared.runtime.validation import first_control
from order_shared.tables import MAX_STOCK_SHARDS
from order_shared.webhook_http.addresses import MAX_URL_LENGTH

MAX_FAULTS = 100
EXAMPLES: Mapping[str, str] = {
    "OrderIn": '{"lines": [{"sku": "TEA-GREEN-100", "quantity": 2}]}',
    "OrderLineIn": '{"sku": "TEA-GREEN-100", "quantity": 2}',
    "ProductIn": '{"name": "Green tea, 100 g", "unit_price": 590, "currency": "EUR"}',
    "StockIn": '{"delta": 100}',
    "WebhookEndpointIn": '{"url": "https://shop.example.com/webhooks", "types": ["order.confirmed.v1"]}',
    "RotateSecretIn": '{"end_previous": true}',
    "ReplayIn": '{"since": "2026-01-31T09:05:00Z"}',
}
"""A right value of each model, as JSON."""

_SKU = "a SKU has 1 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit"
_TIME = "a time has the form of RFC 3339, such as 2026-01-31T09:05:00Z"
_TAGS = 'send the ETag in double quotes: {header}: "2"'

KEY = "[key]"
"""Last part of pydantic's place of an error in a key."""
METADATA_KEY, METADATA_VALUE = "a key of metadata", "a value of metadata"

RULES: Mapping[str, str] = {
    "lines": f"an order has 1 to {MAX_LINES} lines, such as {EXAMPLES['OrderLineIn']}",
    "sku": f"{_SKU}, such as TEA-GREEN-100",
    "quantity": f"a quantity is a whole number from 1 to {MAX_QUANTITY:,}, such as 2",
    "reference": f"a reference has 1 to {MAX_REFERENCE_LENGTH} characters, such as PO-2026-0042",
    "payment_token": "a payment token has 1 to 255 letters, digits, underscores and hyphens, such as pm_card_visa",
    "metadata": f'metadata is an object of at most {MAX_KEYS} keys with texts, such as {{"cart": "c-4711"}}',
    METADATA_KEY: f"a key of metadata has 1 to {MAX_KEY_LENGTH} letters, digits, dots, underscores and hyphens, "
    "such as cart",
    METADATA_VALUE: f"a value of metadata is a text of at most {MAX_VALUE_LENGTH} characters, such as c-4711",
    "name": f"a name has 1 to {MAX_NAME_LENGTH} characters, such as Green tea",
    "unit_price": "a price is a whole number of minor units of the currency, from 0 to "
    f"{MAX_UNIT_PRICE:,}: 1290 for 12.90 EUR",
    "currency": "a currency is three capital letters of ISO 4217, such as EUR",
    "stock_shards": f"stock_shards is a whole number from 1 to {MAX_STOCK_SHARDS}, such as 1",
    "delta": "delta is a whole number from -1,000,000,000 to 1,000,000,000 but not 0, such as 100",
    "customer": "customer is the subject of a customer: 1 to 255 characters of printable ASCII, such as ada",
    "limit": "limit is a whole number from 1 to 100, such as 20",
    "cursor": "cursor is the next_cursor of the previous page, unchanged",
    "after": "after is the next of the previous response, unchanged, or latest",
    "type": f"a type is one of {', '.join(EventType)}",
    "status": f"a status is one of {', '.join(OrderStatus)}",
    "q": f"q has 1 to {MAX_REFERENCE_LENGTH} characters, such as PO-2026",
    "created_at[gte]": _TIME,
    "created_at[lt]": _TIME,
    "sort": "sort is -created_at or created_at",
    "if-match": _TAGS.format(header="If-Match"),
    "if-none-match": _TAGS.format(header="If-None-Match"),
    "url": f"a URL has 1 to {MAX_URL_LENGTH:,} characters, such as https://shop.example.com/webhooks",
    "types": f"types is a list of at most {len(EventType)} types, each one of {', '.join(EventType)}",
    "description": f"a description has at most {MAX_DESCRIPTION_LENGTH} characters, such as ERP",
    "enabled": "enabled is true or false",
    "end_previous": "end_previous is true or false",
    "since": _TIME,
    "until": _TIME,
    "delivery_id": "a delivery_id is the id of a listed delivery, such as 1042",
    "order-customer": "send one Order-Customer header with the customer's subject: 1 to 255 characters of printable "
    "ASCII, such as ada",
}
"""What each field allows, with an example. Names of headers are in lower case."""

NOUNS: Mapping[str, str] = {
    "reference": "a reference",
    "name": "a name",
    "q": "q",
    "customer": "a customer",
    "cursor": "a cursor",
    "after": "a position",
    "url": "a URL",
    "description": "a description",
    METADATA_VALUE: METADATA_VALUE,
}
SECRET = frozenset({"payment_token", "cursor", "after"})
"""Fields whose value is not repeated in a sentence."""

FOREIGN: Mapping[str, str] = {
    "currency": "the currency of an order follows from its products",
    **dict.fromkeys(("amount", "price", "total", "unit_price"), "prices follow from the products"),
}
"""Fields that an order does not have, although customers expect them."""
SYNONYMS: Mapping[str, str] = {
    "items": "lines",
    "line_items": "lines",
    "products": "lines",
    "product": "sku",
    "product_id": "sku",
    "qty": "quantity",
    "units": "quantity",
    "amount": "delta",
    "price": "unit_price",
    "customer_id": "customer",
    "page_size": "limit",
    "page": "cursor",
    "from": "created_at[gte]",
    "since": "created_at[gte]",
    "to": "created_at[lt]",
    "until": "created_at[lt]",
}
"""Names of other APIs, with our name. Each applies where our name is a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One validation error. `path` is the place in `where`, which is body, query, path or header.

    `root` and `model` are the models of the whole input and of the object at the place, if any. `in_key` is true if the
    error is in the name of the last part of the path, and not in its value.
    """

    where: str
    path: tuple[str | int, ...]
    value: Any
    context: Mapping[str, Any]
    root: type[BaseModel] | None
    model: type[BaseModel] | None
    in_key: bool

    @property
    def name(self) -> str:
        """Name of the innermost field or parameter; empty for the whole body."""
        if self.path[:1] == ("metadata",) and len(self.path) > 1:
            return METADATA_KEY if self.in_key else METADATA_VALUE
        return next((part for part in reversed(self.path) if isinstance(part, str)), "")

    @property
    def rule(self) -> str:
        if self.path and isinstance(self.path[-1], int) and self.model:
            return f"each of the {self.name} is an object, such as {EXAMPLES[self.model.__name__]}"
        if self.name in RULES:
            return RULES[self.name]
        example = EXAMPLES.get(self.root.__name__) if self.root else None
        return f"send a JSON object, such as {example}" if example else "this value is not allowed here"

    @property
    def sent(self) -> str:
        """What the caller sent, as an addition to a sentence."""
        if self.name in SECRET or self.value is None or (self.where == "body" and not self.path):
            return ""
        try:
            text = json.dumps(self.value, ensure_ascii=False)
        except (TypeError, ValueError):
            return ""
        return f"; you sent {shorten(text if self.where == 'body' else str(self.value))}"


def _missing(mistake: Mistake) -> str:
    return f"{mistake.name} is missing: {mistake.rule}" if mistake.path else mistake.rule


def _unknown(mistake: Mistake) -> str:
    name, known = str(mistake.path[-1]), list(_fields(mistake.model))
    if mistake.where == "query":
        return f"there is no parameter {shorten(name)}{_hint(name, known)}; allowed: {', '.join(known)}"
    if mistake.root and mistake.root.__name__ == "OrderIn" and name in FOREIGN:
        return f"there is no field {name} here: {FOREIGN[name]}"
    return f"there is no field {shorten(name)}{_hint(name, known)}; allowed: {', '.join(known)}"


def _too_long(mistake: Mistake) -> str:
    limit, length = mistake.context.get("max_length"), len(mistake.value)
    noun = NOUNS.get(mistake.name)
    return f"{noun} has at most {limit} characters; this one has {length:,}" if noun else mistake.rule + mistake.sent


def _too_few(mistake: Mistake) -> str:
    return f"{mistake.rule}; you sent none"


def _too_many(mistake: Mistake) -> str:
    limit, length = mistake.context.get("max_length", 0), mistake.context.get("actual_length") or len(mistake.value)
    if mistake.name == "metadata":
        return f"metadata has at most {limit} keys; you sent {length:,}"
    if mistake.name == "types":
        return f"{mistake.rule}; you sent {length:,}"
    return f"{mistake.name} has at most {limit:,} entries, before those of the same SKU are merged; you sent {length:,}"


def _characters(mistake: Mistake) -> str:
    at = first_control(mistake.value) if mistake.name in NOUNS and isinstance(mistake.value, str) else None
    if at is None:
        return mistake.rule + mistake.sent
    character = f"U+{ord(mistake.value[at]):04X}"
    return f"{NOUNS[mistake.name]} has no control characters; this one has {character} as character {at + 1}"


def _choice(mistake: Mistake) -> str:
    return (
        mistake.rule
        + mistake.sent
        + did_you_mean(str(mistake.value), EventType if mistake.name in {"type", "types"} else OrderStatus)
    )


def _currency(mistake: Mistake) -> str:
    if not isinstance(mistake.value, str) or len(mistake.value) != 3 or not mistake.value.isalpha():
        return mistake.rule + mistake.sent
    code = mistake.value.upper()
    hint = f"; did you mean {code}?" if code in DECIMALS else ""
    return f"there is no currency {shorten(mistake.value)}{hint}: {mistake.rule}"


def _by_rule(mistake: Mistake) -> str:
    return mistake.rule + mistake.sent


SENTENCES: Mapping[str, Callable[[Mistake], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "string_too_long": _too_long,
    "string_pattern_mismatch": _characters,
    "too_short": _too_few,
    "too_long": _too_many,
    "enum": _choice,
    "unknown_currency": _currency,
    "too_many_lines": lambda mistake: f"{mistake.rule}; these have {mistake.context['number']} different products",
    "too_many_units": lambda mistake: (
        f"an order has at most {MAX_QUANTITY:,} units of one product; these lines have "
        f"{mistake.context['number']:,} of {mistake.context['sku']}"
    ),
    "metadata_too_large": lambda mistake: (
        f"metadata has at most {MAX_BYTES:,} bytes of UTF-8 in all; this has {mistake.context['size']:,}"
    ),
    "blank_in_time": lambda mistake: (
        f"the time has a blank for the + of its zone; send + as %2B: {str(mistake.value).replace(' ', '%2B')[:60]}"
    ),
    "time_out_of_range": lambda mistake: f"the time must be between the years 1970 and 9999 in UTC{mistake.sent}",
    "window_reversed": lambda _: "created_at[gte] is later than created_at[lt], so no order can match",
}
"""Sentence by error type: pydantic's types and our own. Any other type gets the rule of its field."""

PLACES: Mapping[str, tuple[str | int, ...]] = {"too_many_lines": ("lines",), "too_many_units": ("lines",)}
"""Place of errors that a whole object has, by error type."""


def faults_of(errors: Iterable[Mapping[str, Any]], models: Mapping[str, type[BaseModel]]) -> list[Fault]:
    """Return the faults of a request from pydantic's errors. `models` has the models of the body and the query."""
    return [_fault(error, models) for error in list(errors)[:MAX_FAULTS]]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a suggestion as an addition to a sentence, or an empty text."""
    choices = {each.casefold(): each for each in known}
    close = get_close_matches(name[:64].casefold(), choices, n=1)
    return f"; did you mean {choices[close[0]]}?" if close else ""


def _hint(name: str, known: Collection[str]) -> str:
    """Return a suggestion for the name of a field or parameter."""
    synonym = SYNONYMS.get(name.casefold(), "")
    return f"; did you mean {synonym}?" if synonym in known else did_you_mean(name, known)


def _fault(error: Mapping[str, Any], models: Mapping[str, type[BaseModel]]) -> Fault:
    where, *rest = error["loc"]
    kind = str(error["type"])
    in_key = rest[:1] == ["metadata"] and len(rest) > 2 and rest[-1] == KEY  # a name that was sent may be KEY too
    path = tuple(rest[:-1] if in_key else rest) or PLACES.get(kind, ())
    if where != "body":
        path = tuple(part for part in path if isinstance(part, str))  # the index of a repeated value says nothing
    root = models.get(str(where))
    is_name = kind in {"missing", "extra_forbidden"}
    mistake = Mistake(
        where=str(where),
        path=path,
        value=error.get("input"),
        context=error.get("ctx") or {},
        root=root,
        model=_model_at(root, path[:-1] if is_name else path),
        in_key=in_key,
    )
    sentence = SENTENCES.get(kind, _by_rule)(mistake)
    return Fault(pointer=_pointer(mistake), code=kind, detail=sentence)


def _pointer(mistake: Mistake) -> str:
    if mistake.where == "body":
        return "".join(f"/{escape_pointer(str(part))}" for part in mistake.path)
    return f"{mistake.where}:{'.'.join(shorten(str(part)) for part in mistake.path)}"


def _fields(model: type[BaseModel] | None) -> Iterable[str]:
    return [field.alias or name for name, field in model.model_fields.items()] if model else ()


def _model_at(model: type[BaseModel] | None, path: Iterable[str | int]) -> type[BaseModel] | None:
    """Return the model of the object at a path; None if no model describes it."""
    found: Any = model
    for part in path:
        if isinstance(part, int):
            found = next(iter(get_args(found)), None) if get_origin(found) is list else None
        elif isinstance(found, type) and issubclass(found, BaseModel) and part in found.model_fields:
            found = found.model_fields[part].annotation
        else:
            return None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None
