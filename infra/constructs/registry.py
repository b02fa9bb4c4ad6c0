"""Image repositories, one per service, shared by an account's environments: what uat tested is what prod runs."""

import json

from cdktn_provider_aws.ecr_lifecycle_policy import EcrLifecyclePolicy
from cdktn_provider_aws.ecr_repository import (
    EcrRepository,
    EcrRepositoryEncryptionConfiguration,
    EcrRepositoryImageScanningConfiguration,
    EcrRepositoryImageTagMutabilityExclusionFilter,
)

from infra.constructs.keys import Key
from infra.constructs.workspace import Workspace

MOVABLE_TAGS = ("live-*", "previous-*")
"""What a deployment moves: `live-<environment>` is what tasks start, `previous-<environment>` what ran before it."""

KEPT_IMAGES = 100
UNTAGGED_DAYS = 14
NEVER = 9999
"""More images than there will ever be: a rule of the lifecycle that takes none."""


class Repository:
    def __init__(self, stack: Workspace, service: str, key: Key) -> None:
        label = service.replace("-", "_")
        self.repository = EcrRepository(
            stack,
            f"{label}_repository",
            name=service,
            # `sha-…` and `v…` are set once. A deployment moves its own tags and no other.
            image_tag_mutability="IMMUTABLE_WITH_EXCLUSION",
            image_tag_mutability_exclusion_filter=[
                EcrRepositoryImageTagMutabilityExclusionFilter(filter=tag, filter_type="WILDCARD")
                for tag in MOVABLE_TAGS
            ],
            image_scanning_configuration=EcrRepositoryImageScanningConfiguration(scan_on_push=True),
            encryption_configuration=[EcrRepositoryEncryptionConfiguration(encryption_type="KMS", kms_key=key.arn)],
            # Never `force_delete`: a replacement would take every environment's images. `destroy --registry` does.
        )
        EcrLifecyclePolicy(
            stack,
            f"{label}_repository_lifecycle",
            repository=self.repository.name,
            policy=json.dumps(lifecycle_policy()),
        )


def lifecycle_policy() -> dict[str, object]:
    """Which images go. What an earlier rule matches no later one takes, so the first keeps what runs or ran last,
    whatever else it is called and however old it is."""
    rules = [
        _rule(priority, f"keep what is {tag}", _more_than(NEVER, tag)) for priority, tag in enumerate(MOVABLE_TAGS, 1)
    ]
    rules.append(_rule(10, f"keep the last {KEPT_IMAGES} builds", _more_than(KEPT_IMAGES, "sha-*")))
    old = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": UNTAGGED_DAYS}
    rules.append(_rule(20, "untagged images are left over from builds", old))
    return {"rules": rules}


def _rule(priority: int, description: str, selection: dict[str, object]) -> dict[str, object]:
    return {
        "rulePriority": priority,
        "description": description,
        "selection": selection,
        "action": {"type": "expire"},
    }


def _more_than(count: int, tag: str) -> dict[str, object]:
    return {
        "tagStatus": "tagged",
        "tagPatternList": [tag],
        "countType": "imageCountMoreThan",
        "countNumber": count,
    }
