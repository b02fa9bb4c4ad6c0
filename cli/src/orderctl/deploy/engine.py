"""Deployment engine, used by every command that ships an image.

    tag → digest → lock → preflight → move the live tag → start the deployment → follow it
        → at the hook: test green, continue or roll back
        → at the end: point the previous tag at the replaced image; after a rollback, move the live tag back

The command may be interrupted at any point. ECS stores the deployment and the revisions that it replaces. Run again,
the command follows a deployment of the same image, and refuses while another image is being deployed.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import partial
from typing import Protocol

from orderctl.deploy.checks import Check, passed
from orderctl.deploy.ecr_repository import EcrRepository, Image
from orderctl.deploy.fleet import UNDER_WAY, Deployment, Fleet, Status
from orderctl.exceptions import DeploymentFailed, ImageNotFound, Refused, TooLate

APPEAR_SECONDS = 60.0
"""Seconds within which ECS must list a deployment after its start."""


GOING_ON = (Status.PENDING, Status.IN_PROGRESS)


class Step(StrEnum):
    """Step of a deployment. It determines the state that an interruption leaves behind."""

    CHECKING = auto()
    MOVING = auto()
    STARTING = auto()
    FOLLOWING = auto()
    RESTORING = auto()
    DONE = auto()


class HookDecision(StrEnum):
    """Decision about a deployment that is paused at a hook."""

    CONTINUE = auto()
    ROLLBACK = auto()
    WAIT = auto()
    """Stay paused until an operator decides, or the hook times out."""


class Exclusion(Protocol):
    """Port of the deployment lock, which one operator can hold at a time. `lock.Lock` implements it."""

    def take(self) -> None: ...
    def extend(self) -> None: ...
    def kept(self) -> AbstractContextManager[None]:
        """Return a context manager that keeps the lock from expiring while its block waits for an operator."""
        ...

    def release(self) -> None: ...


class Observer(Protocol):
    """Receiver of a deployment's events, such as a terminal or a test."""

    def checked(self, checks: Sequence[Check]) -> None: ...
    def noted(self, message: str) -> None: ...
    def observed(self, deployment: Deployment) -> None: ...
    def recorded(self, verb: str, detail: str) -> None:
        """Write an entry to the audit trail. Raises an exception if the entry may not have been written."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    deployment: Deployment | None
    digest: str
    before: str | None
    changed: bool = True
    over: bool = True
    is_rolled_back: bool = False
    """True if a rollback was requested, even if the deployment ended before ECS received the request."""

    @property
    def is_live(self) -> bool:
        return self.deployment is None or self.deployment.status is Status.SUCCESSFUL

    @property
    def succeeded(self) -> bool:
        return self.is_live and not self.is_rolled_back


@dataclass(kw_only=True)
class Engine:
    repository: EcrRepository
    fleet: Fleet
    lock: Exclusion
    observer: Observer
    check: Callable[[Image], list[Check]]
    """Run the preflight checks, before anything is changed."""
    at_hook: Callable[[Deployment], HookDecision]
    """Decide how to continue a deployment that is paused at a hook."""
    rejected: Callable[[Deployment], str | None]
    """Return a reason to roll back that ECS does not act on by itself; None if there is none."""
    poll_sleep: Callable[[], None]
    """Sleep between two polls."""
    clock: Callable[[], float]
    step: Step = Step.CHECKING

    def deploy(self, image: Image, *, wait: bool = True) -> Outcome:
        """Deploy the image, and move the live tag back if the deployment fails. With `wait=False`, only start it.

        Raises:
            Refused: if the deployment is not allowed now; nothing was changed.
            DeploymentFailed: if the lock was lost, or ECS does not list the deployment. The tag may have moved.
        """
        try:
            self.lock.take()
            return self._deploy(image, wait=wait)
        finally:
            self.lock.release()

    def _deploy(self, image: Image, *, wait: bool) -> Outcome:
        self.step = Step.CHECKING
        ref = self.fleet.ref
        service = self.fleet.describe()
        running = self.fleet.digest_of(service.current_revision) if service.current_revision else None
        deployment = self.fleet.under_way()
        if deployment is not None:
            before = self._resumable(deployment, image)
            self.observer.noted(f"{deployment.id} deploys this image already: following it")
        elif running == image.digest and self.repository.digest_of(ref.live_tag) == image.digest:
            self._remember(self.fleet.replaced_by(image.digest))
            self.step = Step.DONE
            return Outcome(deployment=None, digest=image.digest, before=running, changed=False)
        else:
            deployment = self._begin(image, running)
            before = running or self.fleet.digest_before(deployment)
        if not wait:
            return Outcome(deployment=deployment, digest=image.digest, before=before, over=False)
        deployment, is_rolled_back = self._follow(deployment)
        if not deployment.status.is_over:
            return Outcome(deployment=deployment, digest=image.digest, before=before, over=False)
        self._end(deployment, image, before)
        if is_rolled_back and deployment.status is Status.SUCCESSFUL:
            self.observer.noted(
                "the deployment succeeded before it could be rolled back: "
                f"`orderctl rollback {ref.kind} --env {ref.environment}` deploys the previous image"
            )
        return Outcome(deployment=deployment, digest=image.digest, before=before, is_rolled_back=is_rolled_back)

    def _resumable(self, deployment: Deployment, image: Image) -> str | None:
        """Return the digest that a deployment of `image` replaces. Raises Refused if it deploys another image."""
        target = self.fleet.digest_deployed(deployment, self.repository.digest_of(self.fleet.ref.live_tag))
        if target != image.digest:
            raise Refused(f"{deployment.id} is under way, with another image: {target or 'none'}")
        return self.fleet.digest_before(deployment)

    def _begin(self, image: Image, before: str | None) -> Deployment:
        checks = self.check(image)
        self.observer.checked(checks)
        if not passed(checks):
            raise Refused("checks marked FAIL did not pass; nothing was changed")
        known = {deployment.arn for deployment in self.fleet.history()}
        self.lock.extend()  # raises if the checks took longer than the lock lasts
        self.observer.recorded("deploy", f"{before or 'nothing'} → {image.digest}")
        self.step = Step.MOVING
        self.repository.move(self.fleet.ref.live_tag, image.digest)
        self.step = Step.STARTING
        self.fleet.start()
        deployment = self._appeared(known)
        self.step = Step.FOLLOWING
        return deployment

    def _appeared(self, known: set[str]) -> Deployment:
        """Wait until ECS lists a deployment whose ARN is not in `known`, and return it. Raises DeploymentFailed."""
        deadline = self.clock() + APPEAR_SECONDS
        while True:
            for deployment in self.fleet.history():
                if deployment.arn not in known:
                    return deployment
            if self.clock() > deadline:
                raise DeploymentFailed(
                    f"ECS lists no new deployment after {APPEAR_SECONDS:.0f} s: see the service's events"
                )
            self._poll_sleep()

    def _follow(self, deployment: Deployment) -> tuple[Deployment, bool]:
        """Follow the deployment until it ends or stays paused at a hook.

        Return its last state, and whether a rollback was requested.
        """
        self.step = Step.FOLLOWING
        answered: set[str] = set()
        why: str | None = None
        requested = False
        while True:
            self.observer.observed(deployment)
            if deployment.status.is_over:
                return deployment, why is not None
            if why is None and deployment.status in GOING_ON and (why := self.rejected(deployment)) is not None:
                self.observer.noted(f"rolling back: {why}")
            hook = deployment.hook
            if hook is not None and why is None and hook.id not in answered:
                answered.add(hook.id)
                with self.lock.kept():
                    answer = self.at_hook(deployment)
                if answer is HookDecision.WAIT:
                    return deployment, False
                if answer is HookDecision.CONTINUE:
                    self.observer.recorded("continue", deployment.id)
                    self._call(partial(self.fleet.proceed, deployment, hook))
                else:
                    why = "rolled back at its hook"
            if why is not None and not requested:
                requested = self._call(partial(self.fleet.roll_back, deployment))
                if requested:  # recorded afterwards: a failing audit trail must not prevent the rollback
                    self.observer.recorded("rollback", f"{deployment.id}: {why}")
            self._poll_sleep()
            deployment = self.fleet.deployment(deployment.arn) or deployment

    def _call(self, action: Callable[[], None]) -> bool:
        """Run the action. Return False if it came too late; the next poll then shows the deployment's state."""
        try:
            action()
        except TooLate as error:
            self.observer.noted(str(error))
            return False
        return True

    def _poll_sleep(self) -> None:
        self.poll_sleep()
        self.lock.extend()

    def _end(self, deployment: Deployment, image: Image, before: str | None) -> None:
        self.step = Step.RESTORING
        if deployment.status is Status.SUCCESSFUL:
            if before != image.digest:
                self._remember(before)
            self.observer.recorded("deployed", image.digest)
        else:
            self._restore(deployment, image.digest, before)
            self.observer.recorded(
                "rolled back", f"{deployment.status}: {deployment.rollback_reason or deployment.reason}"
            )
        self.step = Step.DONE

    def _restore(self, deployment: Deployment, failed: str, before: str | None) -> None:
        """Move the live tag back to the running image, so that the next deployment does not ship the failed one.

        The tag is not changed if it no longer points to the failed image, or if a newer deployment uses it.
        """
        tag = self.fleet.ref.live_tag
        to = deployment.rollback_revision
        back = (self.fleet.digest_of(to) if to else None) or before
        if back is None or self.repository.digest_of(tag) != failed:
            return
        newer = self._newer(deployment)
        if newer is not None:
            self.observer.noted(f"{newer.id} has superseded this deployment: {tag} was not changed")
        elif self._moved(tag, back, otherwise=f"{tag} cannot be moved back"):
            self.observer.noted(f"{tag} points to {back} again")

    def _newer(self, deployment: Deployment) -> Deployment | None:
        """Return a later deployment that is under way or has succeeded, or None."""
        newer = (each for each in self.fleet.history() if each.created_at > deployment.created_at)
        return next((each for each in newer if each.status in {*UNDER_WAY, Status.SUCCESSFUL}), None)

    def _remember(self, before: str | None) -> None:
        """Point the previous tag at `before`, the replaced image, unless it points there or `before` is None."""
        tag = self.fleet.ref.previous_tag
        if before is not None and self.repository.digest_of(tag) != before:
            self._moved(tag, before, otherwise=f"{tag} cannot be moved, so there is no image for a rollback")

    def _moved(self, tag: str, digest: str, *, otherwise: str) -> bool:
        """Move a tag. If the image was deleted, report `otherwise` and return False instead of failing the command."""
        try:
            self.repository.move(tag, digest)
        except ImageNotFound as error:
            self.observer.noted(f"{otherwise}: {error}")
            return False
        return True
