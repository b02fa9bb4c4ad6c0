"""State of a service: the image of its live tag, the images that its tasks run, and the drift between them."""

from dataclasses import dataclass

from orderctl.deploy.context import DeployContext
from orderctl.deploy.fleet import Deployment, Service


@dataclass(frozen=True, kw_only=True)
class State:
    service: Service
    live: str | None
    """Digest of the live tag, which the next deployment ships. Running tasks keep the digest they started with."""
    previous: str | None
    """Digest of the image that ran before: from ECS's newest deployments, otherwise from the previous tag."""
    images: tuple[str, ...]
    """Digests of the images that the tasks run: one, or two while a deployment is under way. May be empty."""
    under_way: Deployment | None

    @property
    def running(self) -> str | None:
        """Digest of the image that the tasks run; None if they run several, or none runs."""
        return self.images[0] if len(self.images) == 1 else None

    @property
    def drift(self) -> str | None:
        """Description of the drift, with its remedy; None without drift, or while a deployment is under way."""
        if self.under_way is not None:
            return None
        if len(self.images) > 1:
            return "two images run, and no deployment is under way: deploy one of them"
        if self.running is None or self.live == self.running:
            return None
        if self.live is None:
            return "no image has the live tag, so the next deployment would fail: deploy an image"
        return (
            "the live tag points to another image than the tasks run, and the next deployment would ship that: "
            "`orderctl deploy` the image that you want, or move the tag back with `orderctl rollback`"
        )


def state_of(context: DeployContext) -> State:
    service = context.fleet.describe()
    digests = [context.fleet.digest_of(revision) for revision in service.revisions]
    images = tuple(dict.fromkeys(digest for digest in digests if digest is not None))
    before = context.fleet.replaced_by(images[0]) if len(images) == 1 else None
    return State(
        service=service,
        live=context.repository.digest_of(context.ref.live_tag),
        previous=before or context.repository.digest_of(context.ref.previous_tag),
        images=images,
        under_way=context.fleet.under_way(),
    )
