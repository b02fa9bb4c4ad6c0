"""IAM roles of CI: GitHub workflows assume them with their token, without access keys."""

from infra.constructs.boundary import GITHUB
from infra.constructs.ci_feature_policies import feature_apply_statements
from infra.constructs.ci_policies import (
    CI_PATH,
    apply_statements,
    deploy_statements,
    feature_deploy_statements,
    push_statements,
    read_settings,
    read_state,
)
from infra.constructs.outputs import DataOutputs, RegistryOutputs
from infra.constructs.policies import Statement, document
from infra.constructs.roles import Role
from infra.constructs.workspace import Workspace
from infra.environments import DEPLOY_SESSION_MINUTES, DEV, ORGANISATION, Environment
from infra.github import FEATURES, IMAGES
from infra.naming import ROLE_LENGTH, name

READ_ONLY = (
    # These policies read no data: no items, no messages, no values of secrets.
    "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
    "arn:aws:iam::aws:policy/SecurityAudit",
)

DEPLOY_SESSION_SECONDS = 60 * DEPLOY_SESSION_MINUTES
"""Longer than the deployments of all services; `Deployment` refuses steps and a bake time that would outlive it. The
workflows request sessions of this length."""


class CiRoles:
    """CI roles of an environment: `plan` for pull requests, `deploy` for images, `apply` for Terraform.

    dev's stack has the roles of its feature environments too, and the one that pushes main's images. Each role requires
    a GitHub environment of its own (`infra/github.py`). Only feature environments can be destroyed by CI.
    """

    def __init__(
        self,
        stack: Workspace,
        environment: Environment,
        registry: RegistryOutputs,
        data: DataOutputs,
        *,
        data_key: str,
        logs_key: str,
    ) -> None:
        self._stack = stack
        self._role(
            "ci_plan",
            "Plans on pull requests: reads settings, never data",
            ("pull_request", f"environment:{environment.name}"),
            (read_state(stack), read_settings()),
            managed=READ_ONLY,
            session_seconds=None,
        )
        self._role(
            "ci_deploy",
            "Deploys images by their tag",
            (f"environment:{environment.name}",),
            deploy_statements(stack, registry, data, data_key),
        )
        self._role("ci_apply", "Applies Terraform", (f"environment:{environment.name}-apply",), apply_statements(stack))
        if environment.name == DEV.name:
            self._feature_roles(registry, data_key, logs_key)

    def _feature_roles(self, registry: RegistryOutputs, data_key: str, logs_key: str) -> None:
        self._role(
            "ci_push",
            "Pushes the images of main",
            (f"environment:{IMAGES}",),
            push_statements(list(registry.repository_arns.values())),
            owner=IMAGES,
        )
        self._role(
            "ci_feature_deploy",
            "Pushes the images of branches, and deploys them to feature environments",
            (f"environment:{FEATURES}",),
            feature_deploy_statements(self._stack, registry, data_key),
            owner=FEATURES,
        )
        changes = feature_apply_statements(self._stack, registry, data_key, logs_key)
        for verb, description in (
            ("apply", "Applies Terraform to feature environments"),
            ("destroy", "Destroys feature environments, and nothing else"),
        ):
            self._role(
                f"ci_feature_{verb}",
                description,
                (f"environment:{FEATURES}-{verb}",),
                changes,
                managed=READ_ONLY,
                owner=FEATURES,
            )

    def _role(
        self,
        label: str,
        description: str,
        subjects: tuple[str, ...],
        statements: tuple[Statement, ...],
        *,
        managed: tuple[str, ...] = (),
        owner: str | None = None,
        session_seconds: int | None = DEPLOY_SESSION_SECONDS,
    ) -> None:
        """Create a role. The name of a role with an owner begins with it: `features-eu-central-1-ci-deploy`."""
        Role(
            self._stack,
            label,
            description=description,
            trust=_trust(self._stack, *subjects),
            statements=statements,
            managed_policy_arns=managed,
            path=CI_PATH,
            full_name=owner and name(owner, self._stack.region, f"ci-{label.rpartition('_')[2]}", limit=ROLE_LENGTH),
            session_seconds=session_seconds,
        )


def _trust(stack: Workspace, *subjects: str) -> str:
    """Return the trust policy for the repository's workflows whose token has one of these subjects.

    A subject is `pull_request` or `environment:<name>`.
    """
    return document(
        Statement(
            sid="GitHub",
            actions=["sts:AssumeRoleWithWebIdentity"],
            principals={"Federated": stack.iam_arn(f"oidc-provider/{GITHUB}")},
            conditions={
                "StringEquals": {
                    f"{GITHUB}:aud": "sts.amazonaws.com",
                    f"{GITHUB}:sub": [f"repo:{ORGANISATION.repository}:{subject}" for subject in subjects],
                }
            },
        )
    )
