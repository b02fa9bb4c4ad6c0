"""`orderctl promote`: what one environment runs becomes what the next runs, by the same digest."""

from orderctl.commands.deployment.options import (
    AutoOption,
    DryRunOption,
    JsonOption,
    ServiceArgument,
    SourceOption,
    TargetOption,
    TestUrlOption,
    WaitOption,
    YesOption,
    reported,
)
from orderctl.commands.deployment.running import How, ship
from orderctl.deploy.errors import Refused
from orderctl.deploy.place import Place
from orderctl.deploy.site import Site
from orderctl.deploy.status import state_of


def promote(
    service: ServiceArgument,
    *,
    source: SourceOption,
    to: TargetOption,
    auto: AutoOption = False,
    wait: WaitOption = True,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    test_url: TestUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deploy what another environment runs: the same digest, never built again.

    \b
    orderctl promote order-api --from uat --to prod

    Refused while the first one deploys, or runs another image than its tag
    means: only what was tested goes on. Both environments are of one account
    and region. Otherwise it is `deploy`, exit codes too.
    """
    with reported():
        if source == to:
            raise Refused(f"{to} runs what {to} runs")
        site = Site.open(to, service)
        digest = _running(site, source)
        how = How(auto=auto, wait=wait, dry_run=dry_run, yes=yes, test_url=test_url, as_json=as_json)
        ship(site, digest, how)


def _running(site: Site, source: str) -> str:
    """Raises Refused if it is not one image, or not the one that the tag means."""
    there = state_of(
        Site(
            place=Place(environment=source, kind=site.place.kind),
            session=site.session,
            account=site.account,
            actor=site.actor,
        )
    )
    if there.under_way is not None:
        raise Refused(f"{source} is being deployed: {there.under_way.id}")
    if there.drift:
        raise Refused(f"{source} has drifted: {there.drift}")
    if there.running is None:
        raise Refused(f"{source} runs nothing that could be promoted")
    return there.running
