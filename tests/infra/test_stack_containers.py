"""Containers: a user without rights on a file system that it cannot write, and time enough to stop."""

import re
from collections.abc import Callable

import pytest

from order_api.main import FLUSH_SECONDS as API_FLUSH_SECONDS
from order_api.server import GRACEFUL_SHUTDOWN_SECONDS
from order_notifier.config import NotifierSettings
from order_processor.config import ProcessorSettings
from order_processor.processor import FLUSH_SECONDS as PROCESSOR_FLUSH_SECONDS
from order_shared import healthcheck
from order_shared.messaging.consumer.consumer import RELEASE_SECONDS
from order_shared.runtime.tracing.spans import CLOSE_SECONDS
from tests.infra.containers import Container, containers
from tests.infra.synthesis import none

PORTS = {"order-api": 8080, "order-processor": 8081, "order-notifier": 8082}
FARGATE_STOP_SECONDS = 120  # AWS's most
DRAIN_SECONDS = {
    "order-api": GRACEFUL_SHUTDOWN_SECONDS + API_FLUSH_SECONDS + CLOSE_SECONDS,
    "order-processor": ProcessorSettings.model_fields["drain_seconds"].default
    + PROCESSOR_FLUSH_SECONDS
    + CLOSE_SECONDS,
    "order-notifier": NotifierSettings.model_fields["drain_seconds"].default
    + RELEASE_SECONDS
    + NotifierSettings.model_fields["storage_deadline_seconds"].default
    + CLOSE_SECONDS,
}

TMP = "/tmp"  # noqa: S108 - the container's
EXEC_WRITABLE = {"/managed-agents", "/var/lib/amazon", "/var/log/amazon"}
"""Of ECS Exec's agent, which does not start where it cannot write."""

SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN|CREDENTIAL|(^|_)KEY($|_)|PRIVATE|_PEM$")
SECRET_VALUE = re.compile(r"(sk|rk|pk)_(live|test)_|AKIA|-----BEGIN|eyJ[\w-]+\.")
SECRET_ARN = re.compile(r"\$\{data\.terraform_remote_state\.state_\w+_supporting_\w+\.outputs\.\w+_arn\}")
"""A secret's whole ARN, as `supporting` published it."""


def lame_duck(container: Container) -> float:
    """Seconds for which it goes on serving after SIGTERM."""
    return float(container.settings.get("ORDER_LAME_DUCK_SECONDS", 0))


def numeric_user(container: Container) -> bool:
    user = re.fullmatch(r"(\d+):(\d+)", container.body["user"])
    return user is not None and all(int(number) >= 1000 for number in user.groups())


def no_capability(container: Container) -> bool:
    capabilities = container.body["linuxParameters"]["capabilities"]
    return bool(capabilities == {"drop": ["ALL"], "add": []})


def only_listed_folders_are_writable(container: Container) -> bool:
    writable = {mount["containerPath"] for mount in container.body["mountPoints"] if not mount["readOnly"]}
    expected = {TMP} | (EXEC_WRITABLE if container.environment.exec else set())
    volumes = {volume["name"] for volume in container.task["volume"]}
    return writable == expected and {mount["sourceVolume"] for mount in container.body["mountPoints"]} == volumes


def volumes_go_with_the_task(container: Container) -> bool:
    """None is of the host, or of a file system that outlives the task."""
    return all(volume.keys() == {"name"} for volume in container.task["volume"])


def no_secret_in_the_environment(container: Container) -> bool:
    settings = container.settings
    return not any(SECRET_NAME.search(name) or SECRET_VALUE.search(value) for name, value in settings.items())


def secrets_by_arn(container: Container) -> bool:
    return all(SECRET_ARN.fullmatch(arn) for arn in container.secrets.values())


def one_port(container: Container) -> bool:
    port = PORTS[container.service]
    return (
        container.body["portMappings"] == [{"name": "http", "containerPort": port, "protocol": "tcp"}]
        and container.settings["ORDER_PORT"] == str(port)
        and container.settings["ORDER_HOST"] == "0.0.0.0"  # noqa: S104 - the task's own interface
    )


def checks_its_health(container: Container) -> bool:
    check = container.body["healthCheck"]
    within_healthcheck = healthcheck.TIMEOUT_SECONDS < check["timeout"] < check["interval"]
    return bool(check["command"] == ["CMD", "python", "-m", "order_shared.healthcheck"] and within_healthcheck)


def live_image(container: Container) -> bool:
    """Return whether it is the live tag, in main's repository or, for a feature environment, in that of features."""
    repository = container.service.replace("-", "_") + ("_feature" if container.environment.is_feature else "")
    tag = f"live-{container.environment.name}"
    return bool(
        re.fullmatch(
            rf"\$\{{data\.terraform_remote_state\.state_account_registry_\w+\.outputs\.{repository}_repository_url\}}"
            rf":{re.escape(tag)}",
            container.body["image"],
        )
    )


def log_does_not_block(container: Container) -> bool:
    log = container.body["logConfiguration"]
    return bool(log["logDriver"] == "awslogs" and log["options"]["mode"] == "non-blocking")


def own_network_interface(container: Container) -> bool:
    task = container.task
    return bool(task["network_mode"] == "awsvpc" and task.get("pid_mode") is None and task.get("ipc_mode") is None)


def sized_as_the_environment_says(container: Container) -> bool:
    environment, task = container.environment, container.task
    sizes = {"order-processor": environment.processor, "order-notifier": environment.notifier}
    size = sizes.get(container.service, environment.api)
    architecture = task["runtime_platform"]["cpu_architecture"]
    return (task["cpu"], task["memory"], architecture) == (
        str(size.cpu),
        str(size.memory),
        environment.architecture.value,
    )


RULES: dict[str, Callable[[Container], bool]] = {
    "is a numeric user, and not root": numeric_user,
    "has a root that is only read": lambda container: container.body["readonlyRootFilesystem"] is True,
    "writes to the listed folders only": only_listed_folders_are_writable,
    "keeps no volume": volumes_go_with_the_task,
    "has no capability": no_capability,
    "is not privileged": lambda container: container.body["privileged"] is False,
    "has an init process": lambda container: container.body["linuxParameters"]["initProcessEnabled"] is True,
    "has no secret in its environment": no_secret_in_the_environment,
    "takes secrets by ARN": secrets_by_arn,
    "has time for its lame duck, to drain and to flush": lambda container: (
        lame_duck(container) + DRAIN_SECONDS[container.service] < container.body["stopTimeout"] <= FARGATE_STOP_SECONDS
    ),
    "checks its health": checks_its_health,
    "listens to one port": one_port,
    "is the live image of its environment": live_image,
    "does not wait for its log": log_does_not_block,
    "has a network interface of its own": own_network_interface,
    "has its environment's size": sized_as_the_environment_says,
    "is essential": lambda container: container.body["essential"] is True,
}


@pytest.mark.parametrize("rule", RULES)
def test_a_container(rule: str) -> None:
    none(f"{container}: not so: {rule}" for container in containers() if not RULES[rule](container))


def test_ecs_resolves_the_tag_of_each_image_once() -> None:
    """Otherwise ECS reports no digest, and tasks of one deployment may run different images."""
    none(str(container) for container in containers() if container.body.get("versionConsistency") != "enabled")
