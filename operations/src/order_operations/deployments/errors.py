"""Errors of deployments. `exit_code` is that of the command that fails with the error; the message names the next one.

DeploymentError
├── DeploymentFailed       1     not done, or not all of it
└── DeploymentRefused      3     nothing was changed
    ├── ImageNotFound
    ├── Locked
    ├── ServiceNotFound
    └── TooLate                  one call was refused: the deployment has moved on
"""

from typing import ClassVar

from order_shared.domain.errors import PlatformError


class DeploymentError(PlatformError):
    exit_code: ClassVar[int] = 1


class DeploymentFailed(DeploymentError):
    """The deployment failed. The previous image runs, unless the message names another."""


class DeploymentRefused(DeploymentError):
    """The deployment is not allowed now. Nothing was changed."""

    exit_code = 3


class ImageNotFound(DeploymentRefused):
    def __init__(self, repository: str, reference: str) -> None:
        super().__init__(
            f"{repository} has no image {reference}: list its tags with "
            f"`aws ecr list-images --repository-name {repository}`"
        )


class Locked(DeploymentRefused):
    """Another operator is changing the service."""


class ServiceNotFound(DeploymentRefused):
    """ECS has no such service."""


class TooLate(DeploymentRefused):
    """The deployment has ended, or is no longer paused."""
