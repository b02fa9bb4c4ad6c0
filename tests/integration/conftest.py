"""Storage and queue under test: the fakes and the real adapters, each with the same name."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aws_json_client import RetryPolicy
from devstack.provision import create_queue, create_table
from devstack.stack import REGION, local_credentials
from order_shared.aws.connect import OURS, connect_by
from order_shared.aws.dynamodb import Dynamo, open_dynamo
from order_shared.aws.sqs import open_sqs
from order_shared.domain.order.models import MAX_LINES
from order_shared.messaging.queue import Queue
from order_shared.storage.inventory import DynamoInventoryRepository, InventoryRepository
from order_shared.storage.orders import DynamoOrderRepository, OrderRepository
from order_shared.storage.tenant_orders import DynamoTenantOrders, TenantOrders
from order_shared.tables import TABLES, TableNames
from order_shared.tables import Queue as QueueDefinition
from tests import engines
from tests.aws_models import checked
from tests.factories import NOON, make_tenant
from tests.fakes import TABLES as MEMORY_TABLES
from tests.fakes import (
    HandClock,
    MemoryInventoryRepository,
    MemoryOrderRepository,
    MemoryQueue,
    MemoryStore,
    MemoryTenantOrders,
)
from tests.integration.deploy_desk import Desk, Ground, ground

PREFIX = "contract-"
CONNECT = checked(connect_by(os.environ.get("PYTEST_AWS_CLIENT", OURS)))
"""The client under test: `make reference` runs the contract suite over aioboto3. botocore checks what is sent."""
OLD_ENGINE_MAX_LINES = 9  # DynamoDB Local of 2020 takes 10 items in a transaction; DynamoDB takes 100


@dataclass(frozen=True)
class Storage:
    """Both repositories over one store. `tenant` is new for each test; `clock` decides when claims expire."""

    dynamo: Dynamo
    tables: TableNames
    orders: OrderRepository
    inventory: InventoryRepository
    tenant_orders: TenantOrders
    clock: HandClock
    tenant: str
    max_lines: int = MAX_LINES


@pytest.fixture(scope="package")
def emulator_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with engines.emulator(tmp_path_factory.mktemp("emulator")) as endpoint:
        _create_tables(endpoint)
        yield endpoint


@pytest.fixture(scope="package")
def deploy_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("deployments")) as opened:
        yield opened


@pytest.fixture
def desk(deploy_ground: Ground) -> Iterator[Desk]:
    """An operator's, in dev."""
    with deploy_ground.desk() as opened:
        yield opened


@pytest.fixture(scope="package")
def dynamodb_local_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if missing := engines.dynamodb_local_missing():
        pytest.skip(missing)  # told once, in the header
    with engines.dynamodb_local(tmp_path_factory.mktemp("dynamodb-local")) as endpoint:
        _create_tables(endpoint)
        yield endpoint


def _create_tables(endpoint: str) -> None:
    dynamodb = engines.client("dynamodb", endpoint)
    for table in TABLES:
        create_table(dynamodb, table, PREFIX + table.name)


@pytest.fixture(params=["fake", "emulator", "dynamodb-local"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    async with _open_storage(request, request.param) as opened:
        yield opened


@pytest.fixture(params=["emulator", "dynamodb-local"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Real engines only, to compare the fake with."""
    async with _open_storage(request, request.param) as opened:
        yield opened


@pytest.fixture
async def real_storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """For what only a real engine can show: races.

    Not on DynamoDB Local: of 30 transactions at once that put one item if it is absent, the build of 2020 now and
    then lets two through.
    """
    async with _open_storage(request, "emulator") as opened:
        yield opened


def memory_storage(clock: HandClock, tenant: str) -> Storage:
    store = MemoryStore(clock)
    orders, inventory = MemoryOrderRepository(store), MemoryInventoryRepository(store)
    tenant_orders = MemoryTenantOrders(store)
    return Storage(store.tables.client(), MEMORY_TABLES, orders, inventory, tenant_orders, clock, tenant)


@asynccontextmanager
async def _open_storage(request: pytest.FixtureRequest, engine: str) -> AsyncIterator[Storage]:
    clock = HandClock(NOON)
    tenant = make_tenant()
    if engine == "fake":
        yield memory_storage(clock, tenant)
        return
    endpoint = request.getfixturevalue(f"{engine.replace('-', '_')}_endpoint")
    tables = TableNames.with_prefix(PREFIX)
    retries = RetryPolicy(deadline=20.0)
    async with open_dynamo(
        local_credentials(), region=REGION, endpoint=endpoint, retries=retries, connect=CONNECT
    ) as dynamo:
        yield Storage(
            dynamo,
            tables,
            DynamoOrderRepository(dynamo, tables, clock),
            DynamoInventoryRepository(dynamo, tables, clock),
            DynamoTenantOrders(dynamo, tables),
            clock,
            tenant,
            OLD_ENGINE_MAX_LINES if engine == "dynamodb-local" else MAX_LINES,
        )


@pytest.fixture(params=["fake", "emulator"])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    if request.param == "fake":
        yield MemoryQueue()
        return
    endpoint = request.getfixturevalue("emulator_endpoint")
    definition = QueueDefinition(name=f"{tmp_path.name}-orders", dead_letter_name=f"{tmp_path.name}-orders-dead")
    create_queue(engines.client("sqs", endpoint), definition)
    async with open_sqs(
        local_credentials(),
        name=definition.name,
        dead_letter_name=definition.dead_letter_name,
        region=REGION,
        endpoint=endpoint,
        pollers=1,
        connect=CONNECT,
    ) as opened:
        yield opened
