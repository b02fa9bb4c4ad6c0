"""Security groups of tasks, with rules for their inbound port and their outbound destinations."""

from dataclasses import dataclass

from cdktn import Fn, ITerraformDependable, Token

from infra.constructs.network import ANYWHERE, GATEWAY_SERVICES, HTTPS
from infra.constructs.outputs import PlatformOutputs
from infra.constructs.security_groups import egress_rule, ingress_rule, security_group
from infra.constructs.workspace import Workspace
from infra.environments import Egress, Environment
from order_shared.naming import Service, ServiceKind


@dataclass(frozen=True)
class ServiceGroup:
    """Security group with its rules. An ECS service refers only to the group, but must also depend on the rules."""

    id: str
    rules: tuple[ITerraformDependable, ...]


def service_security_group(
    stack: Workspace, environment: Environment, platform: PlatformOutputs, service: Service
) -> ServiceGroup:
    """Create the security group of a service's tasks. Only an HTTP service accepts connections: the load balancer's."""
    group = security_group(
        stack,
        "security_group",
        prefix=f"{environment.name}-{service.name}",
        description=f"Tasks of {service.name}",
        vpc_id=platform.vpc_id,
    )
    rules: list[ITerraformDependable] = []
    if service.kind is ServiceKind.HTTP:
        rules.append(
            ingress_rule(
                stack,
                "ingress",
                group,
                service.port,
                description="The application port, from the load balancer",
                referenced_security_group_id=platform.load_balancer_security_group_id,
            )
        )
    if environment.egress is not Egress.ENDPOINTS:
        description = "AWS, the token issuer, the payment provider"
        rules.append(egress_rule(stack, "egress", group, HTTPS, description=description, cidr_ipv4=ANYWHERE))
        return ServiceGroup(group.id, tuple(rules))
    description = "Interface endpoints, and what is inside the VPC"
    rules.append(egress_rule(stack, "egress", group, HTTPS, description=description, cidr_ipv4=environment.cidr))
    for number, gateway in enumerate(GATEWAY_SERVICES):
        prefix_list = Token.as_string(Fn.element(list(platform.gateway_prefix_list_ids), number))
        description = f"The gateway endpoint of {gateway}"
        label = f"{gateway}_egress"
        rules.append(egress_rule(stack, label, group, HTTPS, description=description, prefix_list_id=prefix_list))
    return ServiceGroup(group.id, tuple(rules))
