"""Start of the fake of ECS: what infra gives each environment's services, derived from the synthesized stacks.

    make snapshot

writes `devtools/fake-ecs/src/fake_ecs/environments.json` anew.
"""

import json
from typing import Any

from infra.environments import ENVIRONMENTS
from tests.infra.profiles import resolved
from tests.infra.synthesis import ROOT, Resource, Stack, stack_of, stacks

PATH = ROOT / "devtools" / "fake-ecs" / "src" / "fake_ecs" / "environments.json"
COMMAND = "make snapshot"


def document() -> dict[str, Any]:
    return {name: _environment(name) for name in ENVIRONMENTS}


def text() -> str:
    return json.dumps(document(), indent=2) + "\n"


def _environment(name: str) -> dict[str, Any]:
    home = ENVIRONMENTS[name].home
    ours = [stack for stack in stacks() if stack.variant == name and stack.region == home]
    services = {stack.kind: service for stack in ours for service in stack.resources("aws_ecs_service")}
    registry = next(stack for stack in ours if stack.resources("aws_ecr_lifecycle_policy"))
    return {
        "alarms": sorted(
            alarm["alarm_name"] for stack in ours for alarm in stack.resources("aws_cloudwatch_metric_alarm")
        ),
        "lifecyclePolicy": json.loads(registry.resources("aws_ecr_lifecycle_policy")[0]["policy"]),
        "services": {kind: _service(service) for kind, service in sorted(services.items())},
    }


def _service(service: Resource) -> dict[str, Any]:
    breaker, alarms = service["deployment_circuit_breaker"], service["alarms"]
    return {
        "capacityProvider": service["capacity_provider_strategy"][0]["capacity_provider"],
        "deploymentConfiguration": {
            **_strategy(service["deployment_configuration"]),
            "minimumHealthyPercent": service["deployment_minimum_healthy_percent"],
            "maximumPercent": service["deployment_maximum_percent"],
            "deploymentCircuitBreaker": breaker,
            "alarms": {
                "alarmNames": _alarm_names(service.stack, alarms["alarm_names"]),
                "enable": alarms["enable"],
                "rollback": alarms["rollback"],
            },
        },
    }


def _strategy(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return Terraform's arguments as members of ECS's `DeploymentConfiguration`."""
    written: dict[str, Any] = {
        "strategy": configuration["strategy"],
        "bakeTimeInMinutes": int(configuration["bake_time_in_minutes"]),
    }
    if canary := configuration.get("canary_configuration"):
        written["canaryConfiguration"] = {
            "canaryPercent": float(canary["canary_percent"]),
            "canaryBakeTimeInMinutes": int(canary["canary_bake_time_in_minutes"]),
        }
    if linear := configuration.get("linear_configuration"):
        written["linearConfiguration"] = {
            "stepPercent": float(linear["step_percent"]),
            "stepBakeTimeInMinutes": int(linear["step_bake_time_in_minutes"]),
        }
    if hooks := configuration.get("lifecycle_hook"):
        written["lifecycleHooks"] = [
            {
                "targetType": hook["target_type"],
                "lifecycleStages": hook["lifecycle_stages"],
                "timeoutConfiguration": {
                    "timeoutInMinutes": int(hook["timeout_configuration"]["timeout_in_minutes"]),
                    "action": hook["timeout_configuration"]["action"],
                },
            }
            for hook in hooks
        ]
    return written


def _alarm_names(stack: Stack, names: Any) -> list[str]:
    """Return the names of alarms. Those of another stack are its output, a list of references."""
    if isinstance(names, str):
        supporting = stack_of(stack.variant, "supporting", stack.region)
        output = names.rstrip("}").rpartition(".")[2]
        return sorted(_name(supporting, each) for each in supporting.outputs[output])
    return sorted(_name(stack, each) for each in names)


def _name(stack: Stack, reference: str) -> str:
    address, _, attribute = reference.strip("${}").rpartition(".")
    return resolved(stack, str(stack.the(address)[attribute]))


def main() -> None:
    PATH.write_text(text())


if __name__ == "__main__":
    main()
