"""What each service asks of DynamoDB and SQS, read out of its code: what its task role must allow, and no more.

A service's own modules, and those of `order_shared` that they import, are searched for the repositories' methods that
they name; each method for the operations that it makes, through whatever it calls. What cannot be followed fails.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from types import FunctionType, ModuleType

from order_shared import tables
from order_shared.aws.dynamodb import Dynamo
from order_shared.storage import idempotency_records as claims
from order_shared.storage import inventory as inventory_repository
from order_shared.storage import orders as order_repository
from order_shared.storage import tenant_orders as tenant_order_repository
from order_shared.storage.event_log import append as event_log_append
from order_shared.storage.event_log import read as event_log_read
from order_shared.storage.webhooks import endpoints as webhook_endpoints
from order_shared.storage.webhooks import leases as webhook_leases

DYNAMO_CALLS = {
    "get": "GetItem",
    "get_many": "BatchGetItem",
    "query": "Query",
    "query_page": "Query",
    "scan_page": "Scan",
    "put": "PutItem",
    "item_count": "DescribeTable",
    "update": "UpdateItem",
    "ping": "GetItem",
}
OF_THEIR_PARTS = {"transact_write", "try_transact_write", "transact_get"}
"""Transactions need what their operations need."""
BUILDERS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "ConditionCheck": "ConditionCheckItem",
}

REPOSITORIES: Mapping[str, type] = {
    "orders": order_repository.DynamoOrderRepository,
    "inventory": inventory_repository.DynamoInventoryRepository,
    "tenant_orders": tenant_order_repository.DynamoTenantOrders,
    "event_reader": event_log_read.DynamoEventLogReader,
    "event_writer": event_log_append.DynamoEventLogWriter,
    "log": event_log_append.DynamoEventLogWriter,
    "events": event_log_read.DynamoEventLogReader,
    "endpoints": webhook_endpoints.DynamoEndpointRepository,
    "leases": webhook_leases.DynamoEndpointLeases,
}
"""By the name that services give to what they hold: `self._orders`, `work.orders`."""
QUEUE = "queue"

MODULES: tuple[ModuleType, ...] = (
    order_repository,
    inventory_repository,
    tenant_order_repository,
    event_log_append,
    event_log_read,
    webhook_endpoints,
    webhook_leases,
    claims,
)


@dataclass(frozen=True)
class Access:
    """One operation on a table, or on one of its indexes."""

    action: str
    table: str
    index: str = ""


@dataclass(frozen=True)
class _Scope:
    """Where an expression is looked at: its class's tables, and what its function was called with."""

    owner: type | None
    arguments: Mapping[str, str] = field(default_factory=dict)


def storage_accesses(service: str) -> set[Access]:
    """`service` is a package: `order_api`."""
    found: set[Access] = set()
    for name, repository in REPOSITORIES.items():
        for method in methods_used(service, name, public_methods(repository)):
            found |= accesses_of(repository, method)
    return found


def accesses_of(repository: type, method: str) -> set[Access]:
    return set(_accesses(getattr(repository, method), _Scope(repository), frozenset()))


def public_methods(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def methods_used(service: str, holder: str, methods: set[str]) -> set[str]:
    """Which of these the service names on something called `holder`, called at once or handed on."""
    used = set()
    for tree in _modules(service):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in methods and _last_name(node.value) == holder:
                used.add(node.attr)
    return used


@cache
def _modules(package: str) -> tuple[ast.Module, ...]:
    """A package's modules and those of `order_shared` that they import, directly or not."""
    waiting = [path for folder in _spec_of(package) for path in Path(folder).rglob("*.py")]
    seen: dict[Path, ast.Module] = {}
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen[path] = ast.parse(path.read_text())
            waiting += _shared_imports(seen[path])
    return tuple(seen.values())


def imports(service: str, name: str) -> bool:
    """Return whether one of the service's own modules imports the name."""
    (folder,) = _spec_of(service)
    trees = (ast.parse(path.read_text()) for path in Path(folder).rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any(alias.name == name for node in nodes for alias in node.names)


def _spec_of(package: str) -> list[str]:
    """Return the folders of an installed package."""
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed"
    return list(spec.submodule_search_locations or ())


def _shared_imports(tree: ast.Module) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("order_shared"):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                yield from _source(name)


def _source(name: str) -> Iterator[Path]:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return  # what is imported is a name in a module
    if spec is not None and spec.origin:
        yield Path(spec.origin)


def _last_name(node: ast.expr) -> str:
    """`orders` of `work.orders` and of `self._orders`."""
    if isinstance(node, ast.Attribute):
        return node.attr.lstrip("_")
    return node.id.lstrip("_") if isinstance(node, ast.Name) else ""


def _accesses(function: FunctionType, scope: _Scope, seen: frozenset[FunctionType]) -> Iterator[Access]:
    """What a function does by itself, and through what it calls."""
    if function in seen:
        return
    tree = _tree(function)
    aliases = _aliases(tree)
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            yield from _operation(call, scope)
            for called, its_scope in _followed(call, scope, aliases):
                yield from _accesses(called, its_scope, seen | {function})


def _operation(call: ast.Call, scope: _Scope) -> Iterator[Access]:
    """What a call is for DynamoDB, if it is one."""
    name = _called(call)
    if isinstance(call.func, ast.Name) and name in BUILDERS:
        yield Access(BUILDERS[name], _table(call.args[0], scope))
    if _receiver(call) == "dynamo":
        assert name in DYNAMO_CALLS.keys() | OF_THEIR_PARTS, f"what does {ast.unparse(call)} do?"
        if name in DYNAMO_CALLS:
            yield Access(DYNAMO_CALLS[name], _table(call.args[0], scope), _index(call))


def _followed(call: ast.Call, scope: _Scope, aliases: Mapping[str, set[str]]) -> Iterator[tuple[FunctionType, _Scope]]:
    """The functions of ours that a call may run: methods of the same class, and helpers told which table."""
    name = _called(call)
    if _receiver(call) == "self":
        method = getattr(scope.owner, name, None)
        if isinstance(method, FunctionType):
            yield method, scope
    elif isinstance(call.func, ast.Name):
        for helper in filter(None, map(_helper, aliases.get(name, {name}))):
            yield helper, _bound(helper, call, scope)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _receiver(call: ast.Call) -> str:
    return _last_name(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def _tree(function: FunctionType) -> ast.AST:
    return ast.parse(dedent(inspect.getsource(function)))


def _aliases(tree: ast.AST) -> dict[str, set[str]]:
    """`change = take_stock if … else return_stock`."""
    return {
        target.id: {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _helper(name: str) -> FunctionType | None:
    """A function beside the repositories that is told which table."""
    for module in MODULES:
        function = getattr(module, name, None)
        if isinstance(function, FunctionType) and "table" in inspect.signature(function).parameters:
            return function
    return None


def _bound(helper: FunctionType, call: ast.Call, scope: _Scope) -> _Scope:
    place = list(inspect.signature(helper).parameters).index("table")
    return _Scope(None, {"table": _table(call.args[place], scope)})


def _table(node: ast.expr, scope: _Scope) -> str:
    """The table that an expression names: `self._tables.orders`, `self._table`, or a function's `table`."""
    if isinstance(node, ast.Attribute) and _last_name(node.value) == "tables":
        return node.attr
    if isinstance(node, ast.Name) and node.id in scope.arguments:
        return scope.arguments[node.id]
    if isinstance(node, ast.Attribute) and _last_name(node.value) == "self" and scope.owner is not None:
        for assignment in ast.walk(_tree(scope.owner.__init__)):  # type: ignore[misc]  # of the class itself
            if isinstance(assignment, ast.Assign) and ast.unparse(assignment.targets[0]) == f"self.{node.attr}":
                return _table(assignment.value, scope)
    raise AssertionError(f"which table is {ast.unparse(node)}?")


def _index(call: ast.Call) -> str:
    for keyword in call.keywords:
        if keyword.arg == "index":
            assert isinstance(keyword.value, ast.Name), f"which index is {ast.unparse(keyword.value)}?"
            return str(getattr(tables, keyword.value.id))
    return ""


def unknown_dynamo_calls() -> set[str]:
    """Ways to DynamoDB that are not followed here."""
    return public_methods(Dynamo) - DYNAMO_CALLS.keys() - OF_THEIR_PARTS
