"""The images are what their tasks take them for."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.setup.uv import VERSION as UV_VERSION
from order_shared.naming import ORDER_API, SERVICE_NAMES, SERVICES, Service
from tests.infra.containers import Container, containers
from tests.infra.synthesis import ROOT

DOCKERFILES = [*(f"services/{name}/Dockerfile" for name in SERVICE_NAMES), "devtools/devstack/Dockerfile"]
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


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_the_user_is_the_tasks(service: str) -> None:
    (user,) = values(service, "USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert {container.body["user"] for container in started(service)} == {user}


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_what_the_task_may_write_the_user_may_write(service: str) -> None:
    """An empty volume takes its owner and rights from the image's path, if that is a volume there too."""
    for container in started(service):
        mounted = {mount["containerPath"] for mount in container.body["mountPoints"]}
        assert mounted - AGENT == set(values(service, "VOLUME"))


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_port_and_health_check_are_the_tasks(service: str) -> None:
    (port,) = values(service, "EXPOSE")
    (check,) = values(service, "HEALTHCHECK")
    for container in started(service):
        assert [mapping["containerPort"] for mapping in container.body["portMappings"]] == [int(port)]
        assert json.loads(check.partition("CMD ")[2]) == container.body["healthCheck"]["command"][1:]


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_the_process_knows_its_commit(service: str) -> None:
    assert "ORDER_COMMIT=${COMMIT}" in values(service, "ENV")


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_one_process_and_one_layer_over_the_base(service: str) -> None:
    assert len(values(service, "COPY")) == 1
    assert not values(service, "RUN")
    assert values(service, "ENTRYPOINT") == [json.dumps([service])]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_the_base_can_be_named_from_outside(dockerfile: str) -> None:
    lines = [line for line in (ROOT / dockerfile).read_text().splitlines() if line.startswith(("ARG ", "FROM "))]
    assert lines[:2] == ["ARG PYTHON_IMAGE=python", "FROM python:3.13-slim AS python"]
    assert {line.partition(" AS ")[0] for line in lines[2:] if line.startswith("FROM ")} == {"FROM ${PYTHON_IMAGE}"}


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_the_images_are_built_with_the_uv_that_the_lock_is_made_with(dockerfile: str) -> None:
    assert f"uv=={UV_VERSION}\n" in (ROOT / dockerfile).read_text()


def test_builds_are_given_what_images_copy_and_nothing_else() -> None:
    """`.dockerignore` leaves out everything but what is named there."""
    everything, *lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    given = {line.removeprefix("!") for line in lines if line.startswith("!")}
    left_out = {line for line in lines if not line.startswith("!")}
    assert (everything, left_out) == ("*", {"**/__pycache__", "**/.venv"})
    assert given == {path.partition("/")[0] for dockerfile in DOCKERFILES for path in copied(dockerfile)}


def copied(dockerfile: str) -> set[str]:
    """The paths of the context that an image's build reads."""
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
    copies = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from=" not in line]
    return {*re.findall(r"type=bind,source=([^,\s]+)", text), *(path for paths in copies for path in paths)}


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_hadolint_finds_nothing(dockerfile: str) -> None:
    """What is exempted, and why, is in `.hadolint.yaml`."""
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run(
        [hadolint, "--no-color", "--failure-threshold", "style", dockerfile],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_images_differ_in_their_service_only() -> None:
    """A change of one that the other misses shows here."""
    neutral = {service.name: as_one_image(service) for service in SERVICES}
    for name, lines in neutral.items():
        assert lines == neutral[ORDER_API.name], name


def as_one_image(service: Service) -> list[str]:
    """Return the lines of its Dockerfile without what is the service's own."""
    text = (ROOT / "services" / service.name / "Dockerfile").read_text()
    own = {service.name: "NAME", service.module: "MODULE", str(service.port): "PORT"}
    for value, placeholder in own.items():
        text = text.replace(value, placeholder)
    return [line for line in text.splitlines() if "image.description" not in line]
