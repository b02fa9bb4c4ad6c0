"""Removal of a feature environment's image tags, and of all images when the registry is destroyed."""

from typing import Any

from botocore.exceptions import ClientError

from infra.environments import Environment
from infra.operate.aws import Account
from order_shared.naming import SERVICE_NAMES, repository_name
from orderctl.exceptions import Failed


def remove_image_tags(account: Account, environment: Environment) -> list[str]:
    """Remove the tags `live-<environment>` and `previous-<environment>`, and return them as `repository:tag`.

    The images keep their other tags.

    Raises:
        Failed: if AWS refuses the call.
    """
    removed = []
    for region in environment.regions:
        ecr = account.client("ecr", region)
        for service in SERVICE_NAMES:
            repository = repository_name(service, is_feature=environment.is_feature)
            tags = [{"imageTag": f"{kept}-{environment.name}"} for kept in ("live", "previous")]
            try:
                answer = ecr.batch_delete_image(repositoryName=repository, imageIds=tags)
            except ecr.exceptions.RepositoryNotFoundException:
                continue
            except ClientError as error:
                raise Failed(
                    f"the tags of {environment.name} could not be removed from {repository}: {error}"
                ) from error
            removed += [
                f"{repository}:{image['imageTag']}" for image in answer.get("imageIds", ()) if "imageTag" in image
            ]
    return removed


def remove_images(ecr: Any) -> None:
    """Delete the repositories with all their images, because Terraform does not delete a repository that has images.

    Raises:
        Failed: if AWS refuses the call.
    """
    for repository in (
        repository_name(service, is_feature=flag) for service in SERVICE_NAMES for flag in (True, False)
    ):
        try:
            ecr.delete_repository(repositoryName=repository, force=True)
        except ecr.exceptions.RepositoryNotFoundException:
            continue
        except ClientError as error:
            raise Failed(f"the images of {repository} could not be deleted: {error}") from error
