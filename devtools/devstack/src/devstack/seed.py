"""Load products from JSON and CSV files. Existing products are not changed, so loading can be repeated.

A JSON file is an array of objects; a CSV file has a header. Both have the fields of `SeedProduct`.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from aws_json_client import CredentialsProvider
from order_shared.domain.clock import utc_now
from order_shared.domain.idempotency import IdempotencyRecord, RecordKind, RecordTaken, fingerprint, record_key
from order_shared.domain.inventory.models import MAX_NAME_LENGTH, MAX_UNIT_PRICE, Product
from order_shared.domain.money.currencies import known_currency
from order_shared.domain.order.models import Customer
from order_shared.runtime.adapters import open_adapters
from order_shared.runtime.config import Settings
from order_shared.runtime.metrics import Metrics
from order_shared.runtime.validation import NAME_PATTERN, SKU_PATTERN, TEXT_PATTERN
from order_shared.storage.inventory import InventoryRepository
from order_shared.tables import MAX_STOCK_SHARDS

SEEDER = "seed"
"""Customer that owns the idempotency records of seeded stock. These records never expire."""


def _whole(value: object) -> object:
    """Reject what Python takes for a whole number and a shop does not: `true`, 1_0 and 2.5."""
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,18}", str(value).strip(), re.ASCII):
        raise ValueError("must be a whole number, such as 1290 for 12.90 EUR")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]


class SeedProduct(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant: Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
    sku: Annotated[str, Field(pattern=f"^{SKU_PATTERN}$")]
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=TEXT_PATTERN)]
    unit_price: Annotated[Whole, Field(ge=0, le=MAX_UNIT_PRICE)]
    currency: Annotated[str, AfterValidator(known_currency)]
    stock: Annotated[Whole, Field(ge=0)]
    stock_shards: Annotated[Whole, Field(ge=1, le=MAX_STOCK_SHARDS)] = 1


class SeedFileInvalid(Exception):
    """Invalid seed file. The message contains the file, the entry and the field."""


def default_files() -> list[Path]:
    """Return the seed files included in devstack: the shops of two tenants."""
    directory = Path(str(files("devstack") / "seeds"))
    return sorted(path for path in directory.iterdir() if path.suffix in {".csv", ".json"})


def read_products(paths: Iterable[Path]) -> list[SeedProduct]:
    """Return the products of all files. Raises SeedFileInvalid before anything is loaded."""
    return [product for path in paths for product in _read_file(path)]


async def load(
    products: Sequence[SeedProduct],
    settings: Settings,
    credentials: CredentialsProvider,
    on_progress: Callable[[SeedProduct], None],
) -> int:
    """Load products and return the number of new ones."""
    created = 0
    async with open_adapters(settings, Metrics(), credentials=credentials, deadline=10.0) as adapters:
        for product in products:
            created += await load_product(adapters.inventory, product)
            on_progress(product)
    return created


async def load_product(inventory: InventoryRepository, seed: SeedProduct) -> bool:
    """Load a product and return whether it was new. Safe to repeat after an interruption at any point."""
    if not await inventory.get_products(seed.tenant, [seed.sku]):
        await inventory.put(
            Product(
                tenant=seed.tenant,
                sku=seed.sku,
                name=seed.name,
                unit_price=seed.unit_price,
                currency=seed.currency,
                stock_shards=seed.stock_shards,
                updated_at=utc_now(),
            )
        )
    key = record_key(Customer(tenant=seed.tenant, id=SEEDER), RecordKind.STOCK, seed.sku)
    key_record = IdempotencyRecord(
        key=key, subject=seed.sku, fingerprint=fingerprint({"sku": seed.sku, "delta": seed.stock}), expires_at=None
    )
    try:
        await inventory.adjust(seed.tenant, seed.sku, seed.stock, key_record)
    except RecordTaken:
        return False
    return True


def _read_file(path: Path) -> Iterator[SeedProduct]:
    for number, entry in enumerate(_entries(path), start=1):
        try:
            yield SeedProduct.model_validate(entry)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'entry'}: {fault['msg']}" for fault in error.errors()
            )
            raise SeedFileInvalid(f"{path}, entry {number}: {faults}") from error


def _entries(path: Path) -> list[object]:
    try:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                return list(csv.DictReader(file, strict=True))
        if path.suffix == ".json":
            document = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(document, list):
                return document
            raise SeedFileInvalid(f"{path}: a JSON seed file must contain an array")
    except (OSError, ValueError, csv.Error) as error:
        raise SeedFileInvalid(f"{path}: {error}") from error
    raise SeedFileInvalid(f"{path}: the name of a seed file must end in .json or .csv")
