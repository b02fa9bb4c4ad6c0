"""Every file that names the services, generated or not, names each service of the table."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.services import PARTS, ROOT, written
from order_shared.naming import ORDER_API, ORDER_PROCESSOR, SERVICE_NAMES, SERVICES

MODULES = [service.module for service in SERVICES]


@pytest.mark.parametrize("path", PARTS)
def test_a_written_part_is_as_the_table_has_it(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert [name for name in SERVICE_NAMES if name not in text] == [], f"{path} lacks them: run `make services`"
    assert text == written(path), f"{path} differs: run `make services`"


def test_import_contracts_name_every_service() -> None:
    assert unnamed(ROOT, MODULES) == []


def test_a_service_that_contracts_do_not_name_is_found() -> None:
    found = unnamed(ROOT, [*MODULES, "order_ping"])
    assert "order_ping: root_packages" in found
    assert any(each.startswith("order_ping: Each distribution") for each in found)


def unnamed(root: Path, modules: list[str]) -> list[str]:
    """Return each service that a list of import-linter lacks, of lists that name the first two services."""
    lint: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return [
        f"{module}: {where}"
        for where, names in _lists(lint)
        if {ORDER_API.module, ORDER_PROCESSOR.module} <= names
        for module in modules
        if module not in names
    ]


def _lists(lint: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    yield "root_packages", set(lint["root_packages"])
    for contract in lint["contracts"]:
        yield contract["name"], {name for layer in contract.get("layers", ()) for name in layer.split(" | ")}
        for key in ("source_modules", "forbidden_modules"):
            yield contract["name"], set(contract.get(key, ()))


def test_the_local_stack_is_installed_with_every_service() -> None:
    devstack = tomllib.loads((ROOT / "devtools/devstack/pyproject.toml").read_text(encoding="utf-8"))
    assert [name for name in SERVICE_NAMES if name not in devstack["project"]["dependencies"]] == []
    assert [name for name in SERVICE_NAMES if name not in devstack["tool"]["uv"]["sources"]] == []


def test_every_service_has_its_folder_and_its_stack_and_no_other_has() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert folders == set(SERVICE_NAMES)
    for service in SERVICES:
        folder = ROOT / "services" / service.name
        assert (folder / "src" / service.module / "__main__.py").exists(), f"{service.name} cannot be started"
        assert (folder / "Dockerfile").exists(), f"{service.name} has no image"
        assert (ROOT / "infra" / "services" / f"{service.module}.py").exists(), f"{service.name} has no stack"
