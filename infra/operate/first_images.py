"""The first images of an environment's services: what `live-<environment>` means before anybody has deployed."""

from typing import Any

from infra.environments import Environment
from infra.operate.console import Change
from order_shared.naming import SERVICE_NAMES
from orderctl.exceptions import Refused

INDEX = "application/vnd.oci.image.index.v1+json"
"""What `make push` leaves: an image for each architecture, and what they are made of and how."""


def first_images(ecr: Any, environment: Environment, tag: str | None) -> dict[str, Change | None]:
    """Return by `repository:tag` the change that points the live tag at the image of `tag`; None where it has an image.

    Raises:
        Refused: if an image is needed, and the registry does not have it or nobody said which.
    """
    live = f"live-{environment.name}"
    return {
        f"{repository}:{live}": None if _is_there(ecr, repository, live) else _change(ecr, repository, tag, live)
        for repository in map(str, SERVICE_NAMES)
    }


def _change(ecr: Any, repository: str, tag: str | None, live: str) -> Change:
    if tag is None:
        raise Refused(f"{repository} has no image {live}: say with --tag which it shall be")
    found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}], acceptedMediaTypes=[INDEX])
    if not found["images"]:
        raise Refused(f"{repository}:{tag} is not in the registry: make push")
    manifest = found["images"][0]["imageManifest"]  # put back byte by byte, or it would be another image
    return lambda: ecr.put_image(
        repositoryName=repository, imageManifest=manifest, imageManifestMediaType=INDEX, imageTag=live
    )


def _is_there(ecr: Any, repository: str, tag: str) -> bool:
    try:
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ecr.exceptions.ImageNotFoundException:
        return False
    return True
