"""ECS task definition with one container, which runs as an unprivileged user on a read-only file system."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cdktn_provider_aws.ecs_task_definition import (
    EcsTaskDefinition,
    EcsTaskDefinitionRuntimePlatform,
    EcsTaskDefinitionVolume,
)

from infra.constructs.keys import use_key
from infra.constructs.logs import write_logs
from infra.constructs.policies import SIGN_IN_TO_REGISTRY, Statement, trust
from infra.constructs.roles import Role
from infra.constructs.workspace import Workspace
from infra.environments import Environment, ServiceSize

USER = "10001:10001"
"""User and group that run the container. They are numeric, so the image needs no names for them."""

WRITABLE = ("/tmp",)  # noqa: S108 - the container's, on a volume that is deleted with the task
EXEC_WRITABLE = ("/managed-agents", "/var/lib/amazon", "/var/log/amazon")
"""Folders that ECS Exec's agent writes to. Only they are writable, so the root stays read-only with a shell too."""

HEALTH_CHECK = ["CMD", "python", "-m", "order_shared.healthcheck"]


@dataclass(frozen=True, kw_only=True)
class Container:
    """Configuration of a service's container."""

    service: str
    image: str
    port: int
    size: ServiceSize
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    """ARN of the secret that contains a setting's value, by name of the setting."""
    stop_timeout: int
    """Seconds from SIGTERM to SIGKILL, longer than the service needs to drain. Fargate's maximum is 120."""
    log_group_name: str
    log_group_arn: str
    repository_arn: str
    statements: tuple[Statement, ...] = field(default=())
    """Permissions of the service's own code, for the task role."""


class Task:
    def __init__(self, stack: Workspace, environment: Environment, container: Container, data_key_arn: str) -> None:
        label = container.service.replace("-", "_")
        self.execution_role = Role(
            stack,
            f"{label}_execution",
            description=f"Starts {container.service}: its image, its secrets, its log",
            trust=_trust(stack),
            statements=_execution_statements(stack, container, data_key_arn),
        )
        shells = (_shell(),) if environment.exec else ()
        self.task_role = Role(
            stack,
            f"{label}_task",
            description=f"What {container.service} may do",
            trust=_trust(stack),
            statements=(*container.statements, *shells),
        )
        writable = WRITABLE + (EXEC_WRITABLE if environment.exec else ())
        volumes = {path.strip("/").replace("/", "-"): path for path in writable}
        self.definition = EcsTaskDefinition(
            stack,
            "task_definition",
            family=f"{environment.name}-{container.service}",
            network_mode="awsvpc",
            requires_compatibilities=["FARGATE", "EC2"],
            cpu=str(container.size.cpu),
            memory=str(container.size.memory),
            runtime_platform=EcsTaskDefinitionRuntimePlatform(
                cpu_architecture=environment.architecture.value, operating_system_family="LINUX"
            ),
            execution_role_arn=self.execution_role.arn,
            task_role_arn=self.task_role.arn,
            volume=[EcsTaskDefinitionVolume(name=name) for name in volumes],
            container_definitions=json.dumps([_definition(stack, container, volumes)]),
            # A rollback uses the previous revision of the task definition, which must still be registered.
            skip_destroy=True,
        )


def _definition(stack: Workspace, container: Container, volumes: Mapping[str, str]) -> dict[str, object]:
    settings = {**container.settings, "ORDER_HOST": "0.0.0.0", "ORDER_PORT": str(container.port)}  # noqa: S104
    # ECS drops a setting with an empty value, so every plan would register the task again. Services default to "".
    given = {name: value for name, value in settings.items() if value}
    return {
        "name": container.service,
        "image": container.image,
        # ECS resolves the tag once per deployment: all tasks run one digest, which `orderctl` compares with the tag.
        "versionConsistency": "enabled",
        "essential": True,
        "user": USER,
        "readonlyRootFilesystem": True,
        "privileged": False,
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"], "add": []}},
        "portMappings": [{"name": "http", "containerPort": container.port, "protocol": "tcp"}],
        "mountPoints": [
            {"sourceVolume": name, "containerPath": path, "readOnly": False} for name, path in volumes.items()
        ],
        "environment": [{"name": name, "value": value} for name, value in sorted(given.items())],
        "secrets": [{"name": name, "valueFrom": arn} for name, arn in sorted(container.secrets.items())],
        "healthCheck": {"command": HEALTH_CHECK, "interval": 10, "timeout": 5, "retries": 3, "startPeriod": 30},
        "stopTimeout": container.stop_timeout,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": container.log_group_name,
                "awslogs-region": stack.region,
                "awslogs-stream-prefix": container.service,
                # A failing log must not block the service.
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        },
    }


def _trust(stack: Workspace) -> str:
    # Condition: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    return trust("ecs-tasks.amazonaws.com", {"StringEquals": {"aws:SourceAccount": stack.account_id}})


def _execution_statements(stack: Workspace, container: Container, data_key_arn: str) -> tuple[Statement, ...]:
    return (
        Statement(
            sid="PullImage",
            actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resources=[container.repository_arn],
        ),
        SIGN_IN_TO_REGISTRY,
        *(_read_secrets(stack, container, data_key_arn) if container.secrets else ()),
        write_logs(container.log_group_arn),
    )


def _read_secrets(stack: Workspace, container: Container, data_key_arn: str) -> tuple[Statement, ...]:
    return (
        Statement(
            sid="ReadSecrets",
            actions=["secretsmanager:GetSecretValue"],
            resources=sorted(set(container.secrets.values())),
        ),
        use_key("DecryptSecrets", data_key_arn, f"secretsmanager.{stack.region}.amazonaws.com"),
    )


def _shell() -> Statement:
    return Statement(
        sid="Shell",
        actions=[
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ],
        resources=["*"],
        wildcard="a session's channels take no resource; off in production",
    )
