"""Security groups of tasks: in, what they are called on; out, what they call."""

from dataclasses import dataclass

from cdktn import Fn, ITerraformDependable, Token
from cdktn_provider_aws.security_group import SecurityGroup
from cdktn_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktn_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule

from infra.constructs.network import ANYWHERE, GATEWAY_SERVICES, HTTPS
from infra.constructs.outputs import PlatformOutputs
from infra.constructs.workspace import Workspace
from infra.environments import Egress, Environment


@dataclass(frozen=True)
class ServiceGroup:
    """A security group and its rules, which tasks need although they name only the group."""

    id: str
    rules: tuple[ITerraformDependable, ...]


def service_security_group(
    stack: Workspace, environment: Environment, platform: PlatformOutputs, *, service: str, port: int | None
) -> ServiceGroup:
    """Make the group of a service's tasks. `port` is what the load balancer calls; None for a service without one."""
    group = SecurityGroup(
        stack,
        "security_group",
        name=f"{environment.name}-{service}",
        description=f"Tasks of {service}",
        vpc_id=platform.vpc_id,
    )
    rules: list[ITerraformDependable] = []
    if port is not None:
        rules.append(
            VpcSecurityGroupIngressRule(
                stack,
                "ingress",
                security_group_id=group.id,
                description="The application port, from the load balancer",
                referenced_security_group_id=platform.load_balancer_security_group_id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
            )
        )
    if environment.egress is not Egress.ENDPOINTS:
        description = "AWS, the token issuer, the payment provider"
        rules.append(_egress(stack, group, "egress", description, cidr_ipv4=ANYWHERE))
        return ServiceGroup(group.id, tuple(rules))
    description = "Interface endpoints, and what is inside the VPC"
    rules.append(_egress(stack, group, "egress", description, cidr_ipv4=environment.cidr))
    for number, gateway in enumerate(GATEWAY_SERVICES):
        prefix_list = Token.as_string(Fn.element(list(platform.gateway_prefix_list_ids), number))
        description = f"The gateway endpoint of {gateway}"
        rules.append(_egress(stack, group, f"{gateway}_egress", description, prefix_list_id=prefix_list))
    return ServiceGroup(group.id, tuple(rules))


def _egress(
    stack: Workspace,
    group: SecurityGroup,
    label: str,
    description: str,
    *,
    cidr_ipv4: str | None = None,
    prefix_list_id: str | None = None,
) -> VpcSecurityGroupEgressRule:
    return VpcSecurityGroupEgressRule(
        stack,
        label,
        security_group_id=group.id,
        description=description,
        cidr_ipv4=cidr_ipv4,
        prefix_list_id=prefix_list_id,
        ip_protocol="tcp",
        from_port=HTTPS,
        to_port=HTTPS,
    )
