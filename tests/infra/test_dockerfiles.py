"""The images are what their tasks take them for."""

import json
import re

import pytest

from tests.infra.containers import Container, containers
from tests.infra.synthesis import ROOT

SERVICES = ("order-api", "order-processor")
AGENT = {"/managed-agents", "/var/lib/amazon", "/var/log/amazon"}
"""Where ECS Exec's agent writes, as root."""


def last_stage(service: str) -> list[str]:
    """The instructions of the image itself, each on one line."""
    text = (ROOT / "services" / service / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]


def started(service: str) -> list[Container]:
    return [container for container in containers() if container.service == service]


def values(service: str, instruction: str) -> list[str]:
    return [
        line.removeprefix(instruction).strip() for line in last_stage(service) if line.startswith(f"{instruction} ")
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_the_user_is_the_tasks(service: str) -> None:
    (user,) = values(service, "USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert {container.body["user"] for container in started(service)} == {user}


@pytest.mark.parametrize("service", SERVICES)
def test_what_the_task_may_write_the_user_may_write(service: str) -> None:
    """An empty volume takes its owner and rights from the image's path, if that is a volume there too."""
    for container in started(service):
        mounted = {mount["containerPath"] for mount in container.body["mountPoints"]}
        assert mounted - AGENT == set(values(service, "VOLUME"))


@pytest.mark.parametrize("service", SERVICES)
def test_port_and_health_check_are_the_tasks(service: str) -> None:
    (port,) = values(service, "EXPOSE")
    (check,) = values(service, "HEALTHCHECK")
    for container in started(service):
        assert [mapping["containerPort"] for mapping in container.body["portMappings"]] == [int(port)]
        assert json.loads(check.partition("CMD ")[2]) == container.body["healthCheck"]["command"][1:]


@pytest.mark.parametrize("service", SERVICES)
def test_one_process_and_one_layer_over_the_base(service: str) -> None:
    assert len(values(service, "COPY")) == 1
    assert not values(service, "RUN")
    assert values(service, "ENTRYPOINT") == [json.dumps([service])]


@pytest.mark.parametrize("service", SERVICES)
def test_the_base_can_be_named_from_outside(service: str) -> None:
    dockerfile = (ROOT / "services" / service / "Dockerfile").read_text()
    first = next(line for line in dockerfile.splitlines() if line and not line.startswith("#"))
    assert first == "ARG PYTHON_IMAGE=python:3.13-slim"


@pytest.mark.parametrize("service", SERVICES)
def test_the_images_are_built_with_the_uv_that_the_lock_is_made_with(service: str) -> None:
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"uv=={version}\n" in (ROOT / "services" / service / "Dockerfile").read_text()


def test_the_images_differ_in_their_service_only() -> None:
    """A change of one that the other misses shows here."""
    api, processor = ((ROOT / "services" / service / "Dockerfile").read_text().splitlines() for service in SERVICES)
    told = ("LABEL", "org.opencontainers.image.description")
    for line, other in zip(api, processor, strict=True):
        if not line.strip().startswith(told):
            as_processor = line.replace("order-api", "order-processor").replace("order_api", "order_processor")
            assert as_processor.replace("8080", "8081") == other
