"""Image repositories, two per service: dev, uat and prod share one, so that prod runs the image that uat tested, and
feature environments share the other."""

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
"""Tags that a deployment moves: tasks start `live-<environment>`, a rollback uses `previous-<environment>`."""

KEPT_IMAGES = 100
UNTAGGED_DAYS = 14
NEVER = 9999
"""Number of images that is never reached, for a lifecycle rule that expires no image."""


class Repository:
    def __init__(self, stack: Workspace, name: str, key: Key) -> None:
        label = name.replace("-", "_").replace("/", "_")
        self.repository = EcrRepository(
            stack,
            f"{label}_repository",
            name=name,
            # `sha-…` and `v…` are immutable. A deployment moves its own tags only.
            image_tag_mutability="IMMUTABLE_WITH_EXCLUSION",
            image_tag_mutability_exclusion_filter=[
                EcrRepositoryImageTagMutabilityExclusionFilter(filter=tag, filter_type="WILDCARD")
                for tag in MOVABLE_TAGS
            ],
            image_scanning_configuration=EcrRepositoryImageScanningConfiguration(scan_on_push=True),
            encryption_configuration=[EcrRepositoryEncryptionConfiguration(encryption_type="KMS", kms_key=key.arn)],
            # Never `force_delete`: a replacement would delete every environment's images. See `destroy --registry`.
        )
        EcrLifecyclePolicy(
            stack,
            f"{label}_repository_lifecycle",
            repository=self.repository.name,
            policy=json.dumps(lifecycle_policy()),
        )


def lifecycle_policy() -> dict[str, object]:
    """Return the lifecycle policy, whose rules expire old images.

    A later rule never expires an image that an earlier rule matches. The first rules match the running and the previous
    images and expire none, so these are kept whatever their other tags and their age.
    """
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
