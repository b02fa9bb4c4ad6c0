"""`orderctl continue` and `orderctl abort`: a word to a deployment that is under way.

Neither takes the lock, which whoever follows the deployment may hold: a word is one call, for one deployment by its id,
and ECS takes the first one.
"""

from typing import Annotated

import typer

from orderctl.commands.deployment.answers import answer, of_deployment, of_pause
from orderctl.commands.deployment.options import (
    DryRunOption,
    EnvOption,
    JsonOption,
    ServiceArgument,
    YesOption,
    agreed,
    reported,
)
from orderctl.deploy.errors import ImageNotFound, Refused
from orderctl.deploy.fleet import Deployment
from orderctl.deploy.site import Site
from orderctl.terminal import errors

LEFT = "ECS may have been told; `orderctl status` shows how it stands"


def proceed(
    service: ServiceArgument,
    *,
    env: EnvOption,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a waiting deployment go on, so that its green side gets the customers; and lift a pause.

    \b
    orderctl continue order-api --env prod

    It goes on in ECS; `orderctl wait` follows it. After `orderctl pause` the
    service may be deployed again.

    Exit codes: 0 it goes on, 3 nothing waits for a word.
    """
    with reported(LEFT):
        site = Site.open(env, service)
        deployment, paused = site.fleet.under_way(), site.freeze.get()
        hook = deployment.pause if deployment is not None else None
        if hook is None and paused is None:
            raise Refused(_nothing_waits(site, deployment))
        waiting = deployment.id if deployment is not None and hook is not None else None
        what = f"continue {waiting}" if waiting else f"lift the pause: {paused.reason if paused else ''}"
        question = "give the green side the customers?" if waiting else "let it be deployed again?"
        if not agreed(site, what, question, dry_run=dry_run, yes=yes):
            return
        site.audit.record("continue", waiting or "pause lifted")
        if deployment is None or hook is None:
            site.freeze.lift()
            errors.print("it may be deployed again")
            answer(of_pause(site, None), as_json=as_json)
            return
        site.fleet.go_on(deployment, hook)
        site.freeze.lift()
        errors.print("it goes on; `orderctl wait` follows it")
        answer(of_deployment(site, deployment), as_json=as_json)


def _nothing_waits(site: Site, deployment: Deployment | None) -> str:
    if deployment is None:
        return f"nothing is under way for {site.place}, and nobody has paused it"
    return f"{deployment.id} does not wait for anybody: {deployment.stage or deployment.status}"


def abort(
    service: ServiceArgument,
    *,
    env: EnvOption,
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.", show_default=False)],
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Roll a deployment back from wherever it is, and put the tag back.

    \b
    orderctl abort order-api --env prod --reason "orders look wrong"

    Whoever follows the deployment sees it end. The tag goes back at once, so
    that nothing ships the image again.

    Exit codes: 0 it is being rolled back, 3 nothing is under way.
    """
    with reported(LEFT):
        site = Site.open(env, service)
        deployment = _under_way(site)
        if not agreed(site, f"abort {deployment.id}", "Roll back the deployment?", dry_run=dry_run, yes=yes):
            return
        site.audit.record("abort", f"{deployment.id}: {reason}")
        site.fleet.turn_back(deployment)
        _put_back(site, deployment)
        errors.print("it is being rolled back; `orderctl wait` follows it")
        answer(of_deployment(site, deployment), as_json=as_json)


def _put_back(site: Site, deployment: Deployment) -> None:
    """The tag, unless it means something else already."""
    tag = site.place.live_tag
    before, live = site.fleet.digest_before(deployment), site.images.digest_of(tag)
    if before is None or live != site.fleet.digest_deployed(deployment, live):
        return
    try:
        site.images.move(tag, before)
    except ImageNotFound as error:
        errors.print(f"{tag} cannot go back: {error}", style="yellow", soft_wrap=True)
        return
    errors.print(f"{tag} is back on {before}", soft_wrap=True)


def _under_way(site: Site) -> Deployment:
    deployment = site.fleet.under_way()
    if deployment is None:
        raise Refused(f"nothing is under way for {site.place}")
    return deployment
