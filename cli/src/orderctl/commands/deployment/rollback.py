"""`orderctl rollback`: back to what ran before."""

from orderctl.commands.deployment.answers import answer
from orderctl.commands.deployment.options import (
    AutoOption,
    DryRunOption,
    EnvOption,
    JsonOption,
    ServiceArgument,
    TestUrlOption,
    WaitOption,
    YesOption,
    agreed,
    reported,
)
from orderctl.commands.deployment.running import How, ship
from orderctl.deploy.errors import Refused
from orderctl.deploy.site import Site
from orderctl.deploy.status import state_of


def rollback(
    service: ServiceArgument,
    *,
    env: EnvOption,
    auto: AutoOption = False,
    wait: WaitOption = True,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    test_url: TestUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to the image that ran before, or put a drifted tag back.

    \b
    orderctl rollback order-api --env prod

    A deployment that is under way is ended with `orderctl abort` instead. If
    the tag means another image than the tasks run, only the tag is put back.
    Otherwise it is `deploy` of what ran before, exit codes too; but what is wrong
    with the service now, a pause, and what a scan finds in the old image by now
    do not keep it from going back.
    """
    with reported():
        site = Site.open(env, service)
        state = state_of(site)
        if state.under_way is not None:
            raise Refused(f"{state.under_way.id} is under way: `orderctl abort {service} --env {env}` ends it")
        if state.drift and state.running is not None:
            _put_back(site, state.running, dry_run=dry_run, yes=yes, as_json=as_json)
            return
        if state.drift:
            raise Refused(state.drift)
        if state.previous is None:
            raise Refused(f"nothing is known to have run before: {site.place.previous_tag} has no image")
        how = How(auto=auto, wait=wait, dry_run=dry_run, yes=yes, test_url=test_url, as_json=as_json, is_way_back=True)
        ship(site, state.previous, how)


def _put_back(site: Site, digest: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    tag = site.place.live_tag
    if not agreed(site, f"put {tag} back on {digest}, which runs", f"put {tag} back?", dry_run=dry_run, yes=yes):
        return
    lock = site.lock("rollback of the tag")
    try:
        lock.take()
        state = state_of(site)  # somebody may have begun before the lock was ours
        if state.under_way is not None or state.running != digest:
            raise Refused(f"{site.place} has changed meanwhile: `orderctl status` tells how it stands")
        site.audit.record("tag put back", digest)
        site.images.move(tag, digest)
    finally:
        lock.release()
    rows = {"environment": site.place.environment, "service": str(site.place.kind), "tag": tag, "image": digest}
    answer(rows, as_json=as_json)
