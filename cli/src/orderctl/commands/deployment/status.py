"""`orderctl status`: the running image, the tagged image, and drift between them."""

import typer

from order_operations.deployments.status import State, state_of
from orderctl.commands.deployment.answers import Row, answer
from orderctl.commands.deployment.options import UNCHANGED, EnvOption, ServiceArgument, announce
from orderctl.commands.deployment.report import describe, summarize
from orderctl.deploy.context import DeployContext
from orderctl.terminal import Output, OutputOption, errors, print_json, reported

DRIFTED = 1


def status(service: ServiceArgument, *, env: EnvOption, output: OutputOption = Output.TEXT) -> None:
    """Show the running image of a service, its deployment under way, and drift.

    \b
    orderctl status order-api --env dev
    orderctl status order-api --env prod --output json | jq .drift

    Drift means that the live tag points to another image than the tasks run: the
    next deployment, also one by Terraform, would ship that image. It is drift,
    too, if the tasks run two images and no deployment is under way.

    Exit codes: 0 no drift, 1 drift.
    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        state = state_of(context.fleet, context.repository)
        if output is Output.JSON:
            print_json(_document(context, state))
        else:
            announce(context, f"status of {context.ref}")
            _show(context, state)
    if state.drift:
        raise typer.Exit(DRIFTED)


def _document(context: DeployContext, state: State) -> dict[str, object]:
    frozen = context.freezes.get()
    return {
        "summary": summarize(context, state, frozen),
        "environment": context.ref.environment,
        "service": context.ref.kind,
        "strategy": state.service.strategy,
        "running": state.running,
        "running_is_unknown": state.is_unknown,
        "live": state.live,
        "previous": state.previous,
        "drift": state.drift,
        "tasks": {"desired": state.service.desired, "running": state.service.running},
        "deployment": state.under_way.id if state.under_way else None,
        "stage": state.under_way.stage if state.under_way else None,
        "frozen": frozen.reason if frozen else None,
    }


def _show(context: DeployContext, state: State) -> None:
    service, deployment = state.service, state.under_way
    frozen = context.freezes.get()
    errors.print(summarize(context, state, frozen))
    rows: dict[str, Row] = {
        "tasks": f"{service.running} of {service.desired}, {service.strategy.lower().replace('_', '/')}",
        "running": ", ".join(state.images) or ("digest unknown" if state.is_unknown else "nothing"),
        context.ref.live_tag: state.live or "no image",
        context.ref.previous_tag: state.previous or "no image",
        "deployment": f"{deployment.id}: {describe(deployment)}" if deployment else "none",
        "drift": state.drift or "none",
        "frozen": f"by {frozen.actor}, since {frozen.since}: {frozen.reason}" if frozen else "no",
    }
    answer(rows, Output.TEXT)
