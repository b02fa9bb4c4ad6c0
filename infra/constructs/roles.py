"""IAM roles with at most one inline policy. Those under `ROLE_PATH` have the account's permissions boundary."""

from typing import TYPE_CHECKING

from cdktn import TerraformResourceLifecycle
from cdktn_provider_aws.iam_role import IamRole
from cdktn_provider_aws.iam_role_policy import IamRolePolicy
from cdktn_provider_aws.iam_role_policy_attachment import IamRolePolicyAttachment

from infra.constructs.policies import Statement, document
from infra.constructs.workspace import ROLE_PATH, Workspace
from infra.environments import FEATURE_PREFIX
from infra.naming import ROLE_LENGTH, name

if TYPE_CHECKING:
    from cdktn import ITerraformDependable

BOUNDARY_NAME = "boundary"
FEATURE_BOUNDARY_NAME = "feature-boundary"
"""Boundary of the roles of feature environments: a branch writes their policies before anybody has reviewed them."""


class Role:
    """IAM role with its policies.

    A resource that uses the role must depend on `policies`, so that the role has its permissions before the resource is
    created, and until it is destroyed.
    """

    def __init__(
        self,
        stack: Workspace,
        label: str,
        *,
        description: str,
        trust: str,
        statements: tuple[Statement, ...] = (),
        managed_policy_arns: tuple[str, ...] = (),
        path: str = ROLE_PATH,
        full_name: str | None = None,
        session_seconds: int | None = None,
        leaves_last: bool = False,
    ) -> None:
        """The default of `full_name` consists of the stack's owner, its region and the label.

        `leaves_last` delays the destruction of the role until the resources that used it have changed.
        """
        dashed = label.replace("_", "-")
        lifecycle = TerraformResourceLifecycle(create_before_destroy=True) if leaves_last else None
        self.role = IamRole(
            stack,
            f"{label}_role",
            name=full_name or name(stack.owner, stack.region, dashed, limit=ROLE_LENGTH),
            path=path,
            description=description,
            assume_role_policy=trust,
            permissions_boundary=stack.iam_arn(f"policy{ROLE_PATH}{boundary_name(stack)}")
            if path == ROLE_PATH
            else None,
            max_session_duration=session_seconds,
            lifecycle=lifecycle,
        )
        self.policies: list[ITerraformDependable] = [
            IamRolePolicyAttachment(stack, f"{label}_managed_{number}", role=self.role.name, policy_arn=arn)
            for number, arn in enumerate(managed_policy_arns)
        ]
        if statements:
            self.policies.append(
                IamRolePolicy(
                    stack,
                    f"{label}_policy",
                    name=dashed,
                    role=self.role.id,
                    policy=document(*statements),
                    lifecycle=lifecycle,
                )
            )

    @property
    def arn(self) -> str:
        return self.role.arn


def boundary_name(stack: Workspace) -> str:
    """Return the name of the permissions boundary of a stack's roles."""
    return FEATURE_BOUNDARY_NAME if stack.owner.startswith(FEATURE_PREFIX) else BOUNDARY_NAME
