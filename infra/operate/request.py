"""Request of a command: its environment, options and stacks, in the order in which they are processed. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.environments import Environment
from infra.stacks import ACCOUNT, REGISTRY, App, Stack, leaving_stacks, stacks_of
from orderctl.exceptions import Refused, UsageError

PROGRAM = "orderctl env"


class Verb(StrEnum):
    PLAN = "plan"
    APPLY = "apply"
    DESTROY = "destroy"
    OUTPUTS = "outputs"
    UNLOCK = "unlock"


@dataclass(frozen=True, kw_only=True)
class Request:
    verb: Verb
    environment: Environment
    only: str | None = None
    """App (`supporting`, `services`), kind of stack (`order-api`) or stack (`order-api-eu-central-1`); None for all."""
    region: str | None = None
    registry: bool = False
    """Also destroy the resources that an account's environments share."""
    skip_registry: bool = False
    """Leave out the registry, which several environments share: another run applies it."""
    dry_run: bool = False

    def stacks(self) -> tuple[Stack, ...]:
        """Return the requested stacks in the order in which the command processes them.

        Raises:
            UsageError: if no stack matches the request, or the environment is not in the requested region.
            Refused: if the request would destroy only the registry and lacks `--registry`, or would apply the services
                of several regions.
        """
        if self.leaves:
            candidates = leaving_stacks(self.environment, str(self.region))
        else:
            candidates = stacks_of(self.environment)
            if self.region is not None:
                require_region(self.environment, self.region)
        chosen = tuple(stack for stack in candidates if self._wants(stack))
        if not chosen:
            raise UsageError(self._no_such_stack())
        if self.verb is Verb.APPLY and not self.dry_run:
            self._require_one_region_of_services(chosen)
        if self.verb is not Verb.DESTROY:
            return chosen
        spared = tuple(stack for stack in chosen if self.registry or stack.kind != REGISTRY)
        if not spared:
            raise Refused(
                f"{self.only} holds the images of every environment of this account and region: "
                "it is destroyed only with --registry"
            )
        return spared[::-1]

    @property
    def leaves(self) -> bool:
        """True for the destruction of a region that the environment leaves."""
        return self.verb is Verb.DESTROY and self.region in self.environment.leaving_regions

    def _require_one_region_of_services(self, stacks: Sequence[Stack]) -> None:
        """Check that the services of at most one region are applied.

        Terraform does not wait for ECS: if the home region changed with both regions applied at once, both would write
        while the former one drains.

        Raises:
            Refused: if services of several regions are among the stacks.
        """
        regions = list(dict.fromkeys(stack.region for stack in stacks if stack.app is App.SERVICES))
        if len(regions) > 1:
            lines = [f"  {command(self.verb, self.environment.name, App.SERVICES)} --region {each}" for each in regions]
            raise Refused(
                "apply the services of one region at a time, the standby region first: once its deployment has ended "
                "and its processor has stopped, the next region may write:\n" + "\n".join(lines)
            )

    def concerns(self, stack: Stack) -> bool:
        """Return whether the request depends on `stack`. Other states are not read: the caller may lack permission."""
        if self.verb is Verb.DESTROY and (self.registry or stack.host == self.environment.name):
            return True
        return stack.owner in (self.environment.name, self.environment.host, ACCOUNT)

    def command(self) -> str:
        """Return the command line of this request."""
        words = [PROGRAM, self.verb, "--env", self.environment.name]
        words += ["--only", self.only] if self.only else []
        words += ["--region", self.region] if self.region else []
        words += ["--registry"] if self.registry else []
        words += ["--skip-registry"] if self.skip_registry else []
        words += ["--dry-run"] if self.dry_run else []
        return " ".join(words)

    def _wants(self, stack: Stack) -> bool:
        if self.skip_registry and stack.kind == REGISTRY:
            return False
        return self.region in (None, stack.region) and self.only in (None, stack.app, stack.kind, stack.name)

    def _no_such_stack(self) -> str:
        environment = self.environment
        names = ", ".join(stack.name for stack in stacks_of(environment))
        return f"{environment.name} has no {self.only!r} to {self.verb}: --only takes supporting, services, {names}"


def require_region(environment: Environment, region: str) -> None:
    """Raise UsageError if the environment is not in this region."""
    if region not in environment.regions:
        raise UsageError(f"{environment.name} is not in {region}; its regions are {', '.join(environment.regions)}")


def command(verb: Verb, environment: str, only: str | None = None) -> str:
    """Return the command line of `orderctl env` for an environment, given by its name."""
    return f"{PROGRAM} {verb} --env {environment}" + (f" --only {only}" if only else "")
