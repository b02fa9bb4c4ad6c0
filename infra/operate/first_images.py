"""First images of an environment's services, to which `live-<environment>` points before the first deployment."""

from typing import Any

from infra.environments import Environment
from infra.operate.console import Change
from order_shared.naming import SERVICE_NAMES, repository_name
from orderctl.exceptions import Refused

INDEX = "application/vnd.oci.image.index.v1+json"
"""Media type of an image from `make push`: an index of one image per architecture, with attestations."""


def first_images(ecr: Any, environment: Environment, tag: str | None) -> dict[str, Change | None]:
    """Return, by `repository:tag`, the change that points the live tag at the image `tag`; None if the live tag exists.

    Raises:
        Refused: if a live tag is missing, and `tag` is None or names no image of the repository.
    """
    live = f"live-{environment.name}"
    return {
        f"{repository}:{live}": None if _is_there(ecr, repository, live) else _change(ecr, repository, tag, live)
        for repository in (repository_name(name, is_feature=environment.is_feature) for name in SERVICE_NAMES)
    }


def _change(ecr: Any, repository: str, tag: str | None, live: str) -> Change:
    if tag is None:
        raise Refused(f"{repository} has no image {live}: give the image to start with by --tag")
    found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}], acceptedMediaTypes=[INDEX])
    if not found["images"]:
        raise Refused(f"{repository}:{tag} is not in the registry: run `make push` first")
    manifest = found["images"][0]["imageManifest"]  # passed on byte for byte: other bytes would be another image
    return lambda: ecr.put_image(
        repositoryName=repository, imageManifest=manifest, imageManifestMediaType=INDEX, imageTag=live
    )


def _is_there(ecr: Any, repository: str, tag: str) -> bool:
    try:
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ecr.exceptions.ImageNotFoundException:
        return False
    return True
