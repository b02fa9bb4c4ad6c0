"""`orderctl status`: what runs, what the tag means, and whether they agree."""

import typer

from orderctl.commands.deployment.answers import Row, answer, answer_json
from orderctl.commands.deployment.options import EnvOption, JsonOption, ServiceArgument, announce, reported
from orderctl.commands.deployment.report import describe
from orderctl.deploy.site import Site
from orderctl.deploy.status import State, state_of

DRIFTED = 1


def status(service: ServiceArgument, *, env: EnvOption, as_json: JsonOption = False) -> None:
    """Tell how a service stands: digests, tasks, a deployment under way, drift.

    \b
    orderctl status order-api --env dev
    orderctl status order-api --env prod --json | jq .drift

    Drift: the tag means another image than the tasks run, so that the next
    deployment, also one by Terraform, would ship it; or the tasks run two images,
    and no deployment is about it.

    Exit codes: 0 no drift, 1 drift.
    """
    with reported():
        site = Site.open(env, service)
        state = state_of(site)
        if as_json:
            answer_json(_document(site, state))
        else:
            announce(site, f"status of {site.place}")
            _show(site, state)
    if state.drift:
        raise typer.Exit(DRIFTED)


def _document(site: Site, state: State) -> dict[str, object]:
    paused = site.freeze.get()
    return {
        "environment": site.place.environment,
        "service": site.place.kind,
        "strategy": state.service.strategy,
        "running": state.running,
        "live": state.live,
        "previous": state.previous,
        "drift": state.drift,
        "tasks": {"desired": state.service.desired, "running": state.service.running},
        "deployment": state.under_way.id if state.under_way else None,
        "stage": state.under_way.stage if state.under_way else None,
        "paused": paused.reason if paused else None,
    }


def _show(site: Site, state: State) -> None:
    service, deployment = state.service, state.under_way
    paused = site.freeze.get()
    rows: dict[str, Row] = {
        "tasks": f"{service.running} of {service.desired}, {service.strategy.lower().replace('_', '/')}",
        "running": ", ".join(state.images) or "nothing",
        site.place.live_tag: state.live or "no image",
        site.place.previous_tag: state.previous or "no image",
        "deployment": f"{deployment.id}: {describe(deployment)}" if deployment else "none",
        "drift": state.drift or "none",
        "paused": f"by {paused.actor}, since {paused.since}: {paused.reason}" if paused else "no",
    }
    answer(rows, as_json=False)
