"""State of a service: the image of its tag, the images that run, and drift between them."""

from dataclasses import dataclass

from orderctl.deploy.context import DeployContext
from orderctl.deploy.fleet import Deployment, Service


@dataclass(frozen=True, kw_only=True)
class State:
    service: Service
    live: str | None
    """Digest of the live tag: what the next deployment ships. Tasks keep to the digest of theirs."""
    previous: str | None
    """Digest that ran before: as ECS remembers it, else as the tag does, which outlives ECS's memory of 90 days."""
    images: tuple[str, ...]
    """Digests that the tasks run: one, or two while a deployment is under way; none if it is scaled to nothing."""
    under_way: Deployment | None

    @property
    def running(self) -> str | None:
        """The one image that runs; None if there are two, or none."""
        return self.images[0] if len(self.images) == 1 else None

    @property
    def drift(self) -> str | None:
        """Why the tag and the tasks differ, and what to do; None without drift, or while a deployment is under way."""
        if self.under_way is not None:
            return None
        if len(self.images) > 1:
            return "two images run, and no deployment is under way: deploy one of them"
        if self.running is None or self.live == self.running:
            return None
        if self.live is None:
            return "no image has the live tag: there is nothing that the next deployment could ship"
        return "the next deployment would ship another image than runs: deploy it, or put the tag back by `rollback`"


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
