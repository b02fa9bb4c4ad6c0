"""Deployment engine, used by every command that ships an image.

    tag → digest → lock → preflight → audit → move the tags → start the deployment → follow it
        → at the hook: test green, continue or roll back
        → after a rollback, move the tags back

The tags move in an order that keeps a tag on every image that may be needed: the image of the previous tag, then the
running one, then the new one. ECR's lifecycle removes images without a tag.

It may be interrupted at any point. ECS stores the deployment and the revisions it started from. The same command, run
again, continues a deployment of the same image and refuses while another image is being deployed. `finish` follows
the deployment under way, and moves the tags to the running image; it never starts a deployment.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import partial
from typing import Protocol

from order_operations.deployments.checks import Check, passed, refusal
from order_operations.deployments.ecr_repository import EcrRepository, Image
from order_operations.deployments.errors import DeploymentFailed, DeploymentRefused, ImageNotFound, TooLate
from order_operations.deployments.fleet import APPEAR_SECONDS, FAILED, Deployment, Fleet, StartFailed, Status
from order_operations.deployments.way_back import DEPLOYED, ROLLED_AWAY, change

START_ATTEMPTS = 10
"""Calls of UpdateService that ECS throttles, or whose answer is lost and that had no effect."""


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
    digest: str | None
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
    accepts_unwatched: Callable[[Deployment], bool]
    """Decide, or ask, whether a deployment continues although ECS watches no alarm of it."""
    poll_sleep: Callable[[], None]
    """Sleep between two polls."""
    clock: Callable[[], float]
    is_rollback: bool = False
    step: Step = Step.CHECKING
    _accepted: str = ""
    """ARN of the deployment that continues although ECS watches no alarm of it."""

    def deploy(self, image: Image, *, wait: bool = True) -> Outcome:
        """Deploy the image, or leave everything as it was.

        Raises:
            DeploymentRefused: nothing was changed.
            DeploymentFailed: the lock was lost, or ECS started no deployment.
        """
        try:
            self.lock.take()
            return self._deploy(image, wait=wait)
        finally:
            self.lock.release()

    def finish(self, image: Image | None, deployment: Deployment | None = None, *, aborted: str = "") -> Outcome:
        """Follow the deployment under way, of the image, to its end. Move the tags to the running image; start nothing.

        `deployment` is one that was started under this lock, which the list may lack yet. `aborted` is the reason of a
        rollback that was requested already.

        Raises:
            DeploymentRefused: another operator holds the lock.
            DeploymentFailed: the lock was lost.
        """
        try:
            self.lock.take()
            deployment = deployment or self.fleet.under_way()
            if deployment is not None and image is not None:
                return self._follow_to_end(deployment, image, self.fleet.digest_before(deployment), aborted=aborted)
            return self._settle(deployment)
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
        elif running == image.digest:
            self._settle(None)
            return Outcome(deployment=None, digest=image.digest, before=running, changed=False)
        else:
            # Of tasks whose digest ECS does not know, the live tag is the best guess: it keeps a tag.
            is_unknown = running is None and service.running > 0 and service.current_revision is not None
            before = self.repository.digest_of(ref.live_tag) if is_unknown else running
            deployment = self._begin(image, before)
            before = before or self.fleet.digest_before(deployment)
        if not wait:
            self._await_visible()
            return Outcome(deployment=deployment, digest=image.digest, before=before, over=False)
        return self._follow_to_end(deployment, image, before)

    def _await_visible(self) -> None:
        """Wait until the next command will find the deployment too: reads of ECS are late for a moment."""
        deadline = self.clock() + APPEAR_SECONDS
        while self.fleet.under_way() is None and self.clock() <= deadline:
            self._poll_sleep()

    def _follow_to_end(self, deployment: Deployment, image: Image, before: str | None, *, aborted: str = "") -> Outcome:
        ref = self.fleet.ref
        deployment, is_rolled_back = self._follow(deployment, image, aborted)
        if not deployment.status.is_over:
            return Outcome(deployment=deployment, digest=image.digest, before=before, over=False)
        is_wrong = self._end(deployment, image, before)
        if (is_rolled_back or is_wrong) and deployment.status is Status.SUCCESSFUL:
            self.observer.noted(
                "the deployment succeeded before it could be rolled back: "
                f"`orderctl rollback {ref.place}` deploys the previous image"
            )
        return Outcome(
            deployment=deployment, digest=image.digest, before=before, is_rolled_back=is_rolled_back or is_wrong
        )

    def _resumable(self, deployment: Deployment, image: Image) -> str | None:
        """Return the digest that ran before. Raises DeploymentRefused if the deployment is of another image."""
        target = self.fleet.digest_deployed(deployment, self.repository.digest_of(self.fleet.ref.live_tag))
        if target != image.digest:
            place = self.fleet.ref.place
            raise DeploymentRefused(
                f"{deployment.id} is under way, with another image: {target or 'none'}. `orderctl finish {place}` "
                f"follows it to its end, `orderctl abort {place}` rolls it back"
            )
        return self.fleet.digest_before(deployment)

    def _begin(self, image: Image, before: str | None) -> Deployment:
        checks = self.check(image)
        self.observer.checked(checks)
        if not passed(checks):
            raise DeploymentRefused(f"{refusal(checks)}; nothing was changed")
        known = {deployment.arn for deployment in self.fleet.history()}
        ref = self.fleet.ref
        older = self.repository.digest_of(ref.previous_tag)
        self.lock.extend()  # raises if the checks took longer than the lock lasts
        moved = f"{change(before, image.digest)}; {ref.previous_tag} was {older or 'on no image'}"
        self.observer.recorded(ROLLED_AWAY if self.is_rollback else "deploy", moved)
        self.step = Step.MOVING
        self._keep(before, older)
        self.repository.move(ref.live_tag, image.digest)
        self.step = Step.STARTING
        deployment = self._start(known, image.digest, before)
        self.step = Step.FOLLOWING
        return deployment

    def _keep(self, before: str | None, older: str | None) -> None:
        """Move the tags that keep the running image and the one before it, before the live tag leaves the former."""
        if before is None or before == older:
            return
        ref = self.fleet.ref
        if older is not None:
            self._moved(ref.oldest_tag, older, otherwise=f"{ref.oldest_tag} cannot be moved")
        self._remember(before)

    def _start(self, known: set[str], digest: str, back: str | None) -> Deployment:
        """Start the deployment by one call. After a lost answer, look whether it took effect before the next call.

        Raises:
            DeploymentFailed: if ECS started none. The tags are back then.
        """
        why = ""
        for _ in range(START_ATTEMPTS):
            try:
                deployment = self._appeared(known, self.fleet.start())
                why = f"ECS lists no new deployment after {APPEAR_SECONDS:.0f} s"
            except StartFailed as error:
                why = str(error)
                if error.is_throttled:
                    self._poll_sleep()
                    continue
                if error.took_effect is False:
                    break
                self.observer.noted(f"{error}; checking whether it started")
                deployment = self._appeared(known, None)
            if deployment is not None:
                return deployment
        if back is not None:
            self._put_back(digest, back)
        place = self.fleet.ref.place
        raise DeploymentFailed(f"{why}: see `orderctl status {place}`, then run the same command again")

    def _appeared(self, known: set[str], arn: str | None) -> Deployment | None:
        return self.fleet.appeared(known, arn, poll_sleep=self._poll_sleep, clock=self.clock)

    def _follow(self, deployment: Deployment, image: Image, aborted: str) -> tuple[Deployment, bool]:
        """Follow the deployment until it ends or stays paused at a hook.

        Return its last state, and whether a rollback was requested.
        """
        self.step = Step.FOLLOWING
        answered: set[str] = set()
        why: str | None = aborted or None
        requested = bool(aborted)
        self._accepted = ""
        while True:
            self.observer.observed(deployment)
            if deployment.status.is_over:
                return deployment, why is not None
            if (
                why is None
                and deployment.status.can_be_rolled_back
                and (why := self._fault(deployment, image)) is not None
            ):
                self.observer.noted(f"rolling back: {why}")
            hook = deployment.hook
            if hook is not None and why is None and hook.id not in answered:
                answered.add(hook.id)
                with self.lock.kept():
                    answer = self.at_hook(deployment)
                if answer is HookDecision.WAIT:
                    return deployment, False
                self.lock.extend()  # raises if the lock was lost while the operator was asked
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

    def _fault(self, deployment: Deployment, image: Image) -> str | None:
        """Return the reason to roll back a deployment in progress; None if there is none."""
        fault = self._difference(deployment, image) or self.rejected(deployment)
        if fault is not None or not deployment.is_unwatched or deployment.arn == self._accepted:
            return fault
        alarms = ", ".join(deployment.alarms)
        self.observer.noted(
            "ECS watches no alarm of this deployment and will not roll back for any "
            f"({deployment.alarms_status or 'no status'}): one of {alarms} was in ALARM when it started"
        )
        with self.lock.kept():
            is_accepted = self.accepts_unwatched(deployment)
        self.lock.extend()
        if not is_accepted:
            return f"ECS watches none of its alarms: {alarms}"
        self._accepted = deployment.arn
        return None

    def _difference(self, deployment: Deployment, image: Image) -> str | None:
        """Return the difference between the image that ECS resolved and the one to deploy; None without any."""
        resolved = self.fleet.digest_of(deployment.target.arn)
        if resolved is None or resolved == image.digest:
            return None
        return f"the tag was moved meanwhile: ECS runs {resolved} instead of {image.digest}"

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

    def _end(self, deployment: Deployment, image: Image, before: str | None) -> bool:
        """Record the end, and move the tags back after a rollback. Return True if another image was deployed."""
        self.step = Step.RESTORING
        difference = None
        if deployment.status is Status.SUCCESSFUL:
            difference = self._difference(deployment, image)
            if before not in {None, image.digest}:
                self._remember(before)
            if difference is None:
                self.observer.recorded(DEPLOYED, image.digest)
            else:
                self.observer.noted(difference)
                self.observer.recorded("failed", f"{deployment.id}: {difference}")
        else:
            self._restore(deployment, image.digest, before)
            self.observer.recorded(
                "rolled back", f"{deployment.state}: {deployment.rollback_reason or deployment.reason}"
            )
        self.step = Step.DONE
        return difference is not None

    def _settle(self, deployment: Deployment | None) -> Outcome:
        """Move the tags to the image that runs, unless a deployment is under way. Start nothing."""
        service = self.fleet.describe()
        running = self.fleet.digest_of(service.current_revision) if service.current_revision else None
        live = self.repository.digest_of(self.fleet.ref.live_tag)
        if deployment is not None or running is None:
            return Outcome(
                deployment=deployment, digest=running, before=running, changed=False, over=deployment is None
            )
        self.step = Step.RESTORING
        if live != running:
            self.observer.recorded("tag put back", running)
        self._put_back(live, running)
        newest = next(iter(self.fleet.history()), None)
        if newest is not None and newest.status not in FAILED:
            self._remember(self.fleet.replaced_by(running))
        self.step = Step.DONE
        return Outcome(deployment=None, digest=running, before=running, changed=live != running)

    def _restore(self, deployment: Deployment, failed: str, before: str | None) -> None:
        """Move the live tag back to the running image, so that the next deployment does not ship the failed one.

        The tag is not changed if it no longer points to the failed image, if a newer deployment uses it, or if the
        failed image ran before too.
        """
        tag = self.fleet.ref.live_tag
        to = deployment.rollback_revision or self.fleet.describe().current_revision
        back = (self.fleet.digest_of(to) if to else None) or before
        if back is None or self.repository.digest_of(tag) != failed:
            return
        newer = self._newer(deployment)
        if newer is None and back == failed == before:
            return
        if newer is not None or back == failed:
            named = newer.id if newer is not None else "another one"
            self.observer.noted(f"{named} has superseded this deployment: {tag} was not changed")
        else:
            self._put_back(failed, back)

    def _put_back(self, failed: str | None, running: str) -> None:
        """Move the live tag to the running image, and the previous tag to the image that it was on before."""
        ref = self.fleet.ref
        if failed != running and self._moved(ref.live_tag, running, otherwise=f"{ref.live_tag} cannot be moved back"):
            self.observer.noted(f"{ref.live_tag} points to {running} again")
        oldest = self.repository.digest_of(ref.oldest_tag)
        if oldest not in {None, failed, running} and self.repository.digest_of(ref.previous_tag) == running:
            self._remember(oldest)

    def _newer(self, deployment: Deployment) -> Deployment | None:
        """Return a later deployment that is under way or has succeeded, or None."""
        under_way = self.fleet.under_way()  # the list may be late
        known = [*([under_way] if under_way is not None else []), *self.fleet.history()]
        newer = (each for each in known if each.created_at > deployment.created_at)
        return next((each for each in newer if each.status not in FAILED), None)

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
