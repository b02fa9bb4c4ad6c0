"""Base class of all stacks: provider, tags, backend, and outputs exchanged with other stacks."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, TypeVar

from cdktn import (
    App,
    CloudBackend,
    DataTerraformRemoteState,
    DataTerraformRemoteStateS3,
    NamedCloudWorkspace,
    NamedRemoteWorkspace,
    S3Backend,
    TerraformOutput,
    TerraformRemoteState,
    TerraformStack,
    TerraformVariable,
)
from cdktn_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktn_provider_aws.provider import AwsProvider, AwsProviderDefaultTags

from infra import environments
from infra.environments import Environment
from infra.stacks import PROJECT, Stack
from order_shared.naming import SERVICE_NAMES

ROLE_PATH = f"/{PROJECT}/"

Outputs = TypeVar("Outputs")


class Workspace(TerraformStack):
    """Stack in one region, with its own Terraform state."""

    def __init__(self, app: App, stack: Stack) -> None:
        super().__init__(app, stack.name)
        self.region = stack.region
        self.owner = stack.owner
        self.tags = {
            "Project": PROJECT,
            "Environment": stack.owner,
            "Workspace": str(stack.kind),
            "ManagedBy": "terraform",
        }
        AwsProvider(self, "aws", region=stack.region, default_tags=[AwsProviderDefaultTags(tags=self.tags)])
        self._account: DataAwsCallerIdentity | None = None
        self._bucket_prefix: TerraformVariable | None = None
        if environments.ORGANISATION.hcp_organisation:
            workspace = NamedCloudWorkspace(stack.workspace)
            CloudBackend(self, organization=environments.ORGANISATION.hcp_organisation, workspaces=workspace)
        else:
            # `terraform init` sets the bucket's name and region, because the name contains the account number.
            backend = S3Backend(self, bucket="", key=stack.key, encrypt=True, use_lockfile=True)
            backend.add_override("bucket", None)

    @property
    def account_id(self) -> str:
        """Id of the account whose credentials run Terraform, as a reference: the code contains no account number."""
        if self._account is None:
            self._account = DataAwsCallerIdentity(self, "caller")
        return self._account.account_id

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    def iam_arn(self, resource: str) -> str:
        """Return the ARN of an IAM resource in this account. It has no region."""
        return f"arn:aws:iam::{self.account_id}:{resource}"

    def publish(self, outputs: Any) -> None:
        """Publish each field of a dataclass as an output of this stack, for other stacks to read.

        A mapping by service name becomes one output for each service.
        """
        for field in fields(outputs):
            value = getattr(outputs, field.name)
            if isinstance(value, Mapping):
                for service, each in value.items():
                    TerraformOutput(self, _of_service(field, service), value=each)
            else:
                TerraformOutput(self, field.name, value=list(value) if isinstance(value, tuple) else value)

    def read(self, kind: type[Outputs], stack: Stack) -> Outputs:
        """Return the outputs that another stack published, as an instance of the dataclass `kind`.

        The other stack's state must exist when this stack is planned.
        """
        state = self._state(stack)
        values = {field.name: _read(state, field) for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
        return kind(**values)

    def _state(self, stack: Stack) -> TerraformRemoteState:
        label = f"state_{stack.owner}_{stack.kind}_{stack.region}".replace("-", "_")
        existing = self.node.try_find_child(label)
        if isinstance(existing, TerraformRemoteState):
            return existing
        if environments.ORGANISATION.hcp_organisation:
            workspace = NamedRemoteWorkspace(stack.workspace)
            return DataTerraformRemoteState(
                self, label, organization=environments.ORGANISATION.hcp_organisation, workspaces=workspace
            )
        if self._bucket_prefix is None:
            self._bucket_prefix = TerraformVariable(
                self,
                "state_bucket_prefix",
                type="string",
                description="The state buckets' names without their region; each region keeps its own state.",
            )
        return DataTerraformRemoteStateS3(
            self,
            label,
            bucket=f"{self._bucket_prefix.string_value}-{stack.region}",
            key=stack.key,
            region=stack.region,
        )


def supporting_owner(environment: Environment) -> str:
    """Return the name of the environment whose VPC, cluster and load balancer an environment uses."""
    return environment.host or environment.name


def _read(state: TerraformRemoteState, field: "Field[Any]") -> object:
    if field.type in (tuple[str, ...], "tuple[str, ...]"):
        return state.get_list(field.name)
    if field.type in (Mapping[str, str], "Mapping[str, str]"):
        return {service: state.get_string(_of_service(field, service)) for service in SERVICE_NAMES}
    return state.get_string(field.name)


def _of_service(field: "Field[Any]", service: str) -> str:
    """Return the name of a mapping's output for one service: `order_api_log_group_name` for `log_group_names`."""
    return f"{service}_{field.name.removesuffix('s')}".replace("-", "_")
