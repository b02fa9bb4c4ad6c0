"""State of a service: the image of its live tag, the images that its tasks run, and the drift between them."""

from dataclasses import dataclass

from order_operations.deployments.ecr_repository import EcrRepository
from order_operations.deployments.fleet import FAILED, Deployment, Fleet, Service
from order_operations.deployments.service_ref import ServiceRef


@dataclass(frozen=True, kw_only=True)
class State:
    ref: ServiceRef
    service: Service
    live: str | None
    """Digest of the live tag, which the next deployment ships. Running tasks keep the digest they started with."""
    previous: str | None
    """Digest of the image that ran before: from ECS's newest deployments, otherwise from the previous tag."""
    images: tuple[str, ...]
    """Digests that the tasks run: one, or two while a deployment is under way; none if ECS knows none."""
    under_way: Deployment | None

    @property
    def running(self) -> str | None:
        """The one image that runs; None if there are two, or none is known."""
        return self.images[0] if len(self.images) == 1 else None

    @property
    def is_unknown(self) -> bool:
        """True if tasks run and ECS reports no digest: it was not resolved when the first task started."""
        return self.service.running > 0 and not self.images

    @property
    def drift(self) -> str | None:
        """Description of the drift, with its remedy; None without drift, or while a deployment is under way."""
        if self.under_way is not None:
            return None
        if len(self.images) > 1:
            return (
                "two images run, and no deployment is under way: "
                f"`orderctl deploy {self.ref.place} --tag …` with one of them"
            )
        if self.running is None or self.live == self.running:
            return None
        if self.live is None:
            return (
                "no image has the live tag, so the next deployment would fail: "
                f"`orderctl finish {self.ref.place}` moves it to the image that runs"
            )
        return (
            "the live tag points to another image than the tasks run, and the next deployment would ship that: "
            f"`orderctl finish {self.ref.place}` moves the tag back, or `orderctl deploy {self.ref.place} --tag …` "
            "ships the image that you want"
        )


def state_of(fleet: Fleet, repository: EcrRepository) -> State:
    """Read the state. Raises DeploymentError, and botocore's errors."""
    service = fleet.describe()
    digests = [fleet.digest_of(revision) for revision in service.revisions]
    images = tuple(dict.fromkeys(digest for digest in digests if digest is not None))
    before = fleet.replaced_by(images[0]) if len(images) == 1 else None
    return State(
        ref=fleet.ref,
        service=service,
        live=repository.digest_of(fleet.ref.live_tag),
        previous=before or repository.digest_of(fleet.ref.previous_tag),
        images=images,
        under_way=fleet.under_way(),
    )


def failed_images(fleet: Fleet) -> dict[str, Deployment]:
    """Return the digests whose newest deployment that ECS lists ended rolled back or stopped, with that deployment.

    A deployment of the image that ran already, such as Terraform's of a new task definition, does not count.
    """
    newest: dict[str, Deployment] = {}
    for deployment in fleet.history():
        digest = fleet.digest_of(deployment.target.arn)
        is_of_task = deployment.status in FAILED and digest == fleet.digest_before(deployment)
        if digest is not None and not is_of_task:
            newest.setdefault(digest, deployment)
    return {digest: deployment for digest, deployment in newest.items() if deployment.status in FAILED}
