"""Security groups and their rules, which Terraform can replace while tasks or a load balancer use them.

A new name or description replaces a group, and a new group replaces its rules. The new ones are created before the old
ones are deleted: otherwise tasks would lose their egress, and a group that is in use cannot be deleted.
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
    """Create a group whose name is the prefix with a unique suffix, since two groups cannot have the same name.

    Set `keep_description` for a group to which rules of another stack refer. A new description then does not replace
    the group: those rules would refer to the old group until that stack is applied.
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
    """Create a rule that allows a source to connect to a TCP port of the group's members."""
    return VpcSecurityGroupIngressRule(stack, label, **_rule(group, port), **source)


def egress_rule(
    stack: Workspace, label: str, group: SecurityGroup, port: int, **destination: Any
) -> VpcSecurityGroupEgressRule:
    """Create a rule that allows the group's members to connect to a TCP port of a destination."""
    return VpcSecurityGroupEgressRule(stack, label, **_rule(group, port), **destination)


def _rule(group: SecurityGroup, port: int) -> dict[str, Any]:
    return {
        "security_group_id": group.id,
        "ip_protocol": "tcp",
        "from_port": port,
        "to_port": port,
        "lifecycle": TerraformResourceLifecycle(create_before_destroy=True),
    }
