"""IAM policies. A statement that allows a wildcard must give the reason for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Condition = Mapping[str, Mapping[str, str | Sequence[str]]]


@dataclass(frozen=True, kw_only=True)
class Statement:
    sid: str
    actions: Sequence[str]
    resources: Sequence[str] = ()
    """ARNs. Empty in the trust policy of a role, where the resource is the role itself."""
    effect: str = "Allow"
    principals: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    conditions: Condition = field(default_factory=dict)
    wildcard: str = ""
    """Reason for a wildcard action or resource. Required if the statement allows one."""

    def __post_init__(self) -> None:
        is_open = any(action == "*" or action.endswith(":*") for action in self.actions) or "*" in self.resources
        if self.effect == "Allow" and is_open and not self.wildcard:
            raise ValueError(f"statement {self.sid} has a wildcard: name its actions and resources, or give `wildcard`")

    def to_json(self) -> dict[str, object]:
        parts: dict[str, object] = {"Sid": self.sid, "Effect": self.effect, "Action": list(self.actions)}
        if self.principals:
            parts["Principal"] = dict(self.principals)
        if self.resources:
            parts["Resource"] = list(self.resources)
        if self.conditions:
            parts["Condition"] = {operator: dict(keys) for operator, keys in self.conditions.items()}
        return parts


SIGN_IN_TO_REGISTRY = Statement(
    sid="SignInToRegistry",
    actions=["ecr:GetAuthorizationToken"],
    resources=["*"],
    wildcard="the registry's token has no resource",
)


def only_over_tls(service: str, *resources: str) -> Statement:
    """Return a statement that denies access to resources of a service, such as `s3` or `sqs`, without TLS."""
    return Statement(
        sid="OnlyOverTls",
        effect="Deny",
        actions=[f"{service}:*"],
        resources=resources,
        principals={"AWS": "*"},
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )


def document(*statements: Statement) -> str:
    """Return a policy with these statements as JSON text."""
    return json.dumps({"Version": "2012-10-17", "Statement": [statement.to_json() for statement in statements]})


def trust(service: str, conditions: Condition | None = None) -> str:
    """Return the trust policy that lets an AWS service such as `ecs-tasks.amazonaws.com` assume a role."""
    return document(
        Statement(
            sid="Trust",
            actions=["sts:AssumeRole"],
            principals={"Service": service},
            conditions=conditions or {},
        )
    )
