"""Security groups and their rules, each of which can be replaced while tasks or a load balancer use it.

Another name or description replaces a group, and another group its rules. The successors are made first: tasks would
otherwise lose their way out, and a group that is in use cannot be deleted.
"""

from typing import Any

from cdktn import TerraformResourceLifecycle
from cdktn_provider_aws.security_group import SecurityGroup
from cdktn_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktn_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule

from infra.constructs.workspace import Workspace


def security_group(
    stack: Workspace, label: str, *, prefix: str, description: str, vpc_id: str, keep_description: bool = False
) -> SecurityGroup:
    """Make a group whose name begins with the prefix, since two of one name cannot stand side by side.

    `keep_description` is for a group that another stack's rules name: a new text must not replace it, because those
    rules would go on naming the old group until that stack is deployed.
    """
    return SecurityGroup(
        stack,
        label,
        name_prefix=f"{prefix}-",
        description=description,
        vpc_id=vpc_id,
        lifecycle=TerraformResourceLifecycle(
            create_before_destroy=True, ignore_changes=["description"] if keep_description else None
        ),
    )


def ingress_rule(
    stack: Workspace, label: str, group: SecurityGroup, port: int, **source: Any
) -> VpcSecurityGroupIngressRule:
    """Let a source in on a TCP port."""
    return VpcSecurityGroupIngressRule(stack, label, **_rule(group, port), **source)


def egress_rule(
    stack: Workspace, label: str, group: SecurityGroup, port: int, **destination: Any
) -> VpcSecurityGroupEgressRule:
    """Let a group's members out to a TCP port of a destination."""
    return VpcSecurityGroupEgressRule(stack, label, **_rule(group, port), **destination)


def _rule(group: SecurityGroup, port: int) -> dict[str, Any]:
    return {
        "security_group_id": group.id,
        "ip_protocol": "tcp",
        "from_port": port,
        "to_port": port,
        "lifecycle": TerraformResourceLifecycle(create_before_destroy=True),
    }
