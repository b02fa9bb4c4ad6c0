"""How a deployment can end badly.

DeployError
├── Refused          nothing was changed                        exit code 3
│   ├── ImageNotFound
│   ├── Locked
│   └── TooLate                                              of one call only: the deployment has gone on
└── DeploymentFailed  it was rolled back, or could not be done   exit code 1
"""


class DeployError(Exception):
    """The message is for an operator, and says which command goes on."""


class Refused(DeployError):
    """Nothing was changed."""


class ImageNotFound(Refused):
    def __init__(self, repository: str, reference: str) -> None:
        super().__init__(f"{repository} has no image {reference}")


class Locked(Refused):
    """Somebody else deploys the service."""


class TooLate(Refused):
    """The deployment has come to its end, or does not wait any more."""


class DeploymentFailed(DeployError):
    """What runs is what ran before, or the message says what does."""
