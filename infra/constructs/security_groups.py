"""Security groups and their rules, each of which can be replaced while tasks or a load balancer use it.

A new name or description replaces a group, and a new group replaces its rules. The successors are created first: tasks
would otherwise lose their egress, and a group that is in use cannot be deleted.
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
    """Create a group whose name begins with the prefix, since two groups cannot have the same name.

    `keep_description` is for a group that another stack's rules refer to: a new text must not replace it, because those
    rules would refer to the old group until that stack is deployed.
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
    """Allow a source to connect to a TCP port."""
    return VpcSecurityGroupIngressRule(stack, label, **_rule(group, port), **source)


def egress_rule(
    stack: Workspace, label: str, group: SecurityGroup, port: int, **destination: Any
) -> VpcSecurityGroupEgressRule:
    """Allow a group's members to connect to a TCP port of a destination."""
    return VpcSecurityGroupEgressRule(stack, label, **_rule(group, port), **destination)


def _rule(group: SecurityGroup, port: int) -> dict[str, Any]:
    return {
        "security_group_id": group.id,
        "ip_protocol": "tcp",
        "from_port": port,
        "to_port": port,
        "lifecycle": TerraformResourceLifecycle(create_before_destroy=True),
    }
