"""`orderctl webhooks`: the webhook endpoints of tenants, for operators."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from order_operations.target import Target
from order_operations.webhook_endpoints import EndpointStatus, open_webhook_endpoints, record_enable
from order_shared.domain.clock import to_text
from order_shared.domain.order.events import EVENT_TYPES
from order_shared.domain.webhook.attempt import Attempt
from order_shared.domain.webhook.health import EndpointState
from order_shared.domain.webhook.models import Delivery, Endpoint
from orderctl.profile import DEFAULT_STATE, LocalOption, StateOption, announce_target, make_target, reported_failures
from orderctl.terminal import (
    DryRunOption,
    Output,
    OutputOption,
    ReasonOption,
    YesOption,
    checked_reason,
    confirm,
    console,
    print_json,
    printable,
)

app = typer.Typer(
    no_args_is_help=True,
    help="""Show and enable webhook endpoints.

    An endpoint is failing after ten failures in a row, and disabled after three
    days, or at once if its receiver responds 410.
    """,
)

EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT_ID", help="Id of the endpoint, such as we_….")]
TenantOption = Annotated[str, typer.Option(help="Tenant to whom the endpoint belongs.")]


@app.command("list")
def list_endpoints(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only endpoints of this tenant; by default of all.")] = None,
    status: Annotated[
        list[EndpointState] | None, typer.Option(help="Only endpoints in this state; repeat it for more than one.")
    ] = None,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """List endpoints with their state and the number of events that they have not received.

    \b
    orderctl webhooks list
    orderctl webhooks list --status failing --status disabled
    """

    async def read(target: Target) -> list[EndpointStatus]:
        async with open_webhook_endpoints(target) as endpoints:
            return list(await endpoints.list(tenant, status or list(EndpointState)))

    with reported_failures():
        found = asyncio.run(read(make_target(local, state)))
        if output is Output.JSON:
            print_json(list(map(_summary, found)))
            return
        table = Table("tenant", "endpoint", "state", "behind", "waiting", "failures", "last success", "url", box=None)
        for each in found:
            endpoint = each.endpoint
            table.add_row(
                printable(endpoint.tenant),
                endpoint.endpoint_id,
                _state(endpoint),
                str(each.behind),
                str(endpoint.waiting),
                str(endpoint.health.failures),
                _time(endpoint.delivered_at),
                printable(endpoint.url),
            )
        console.print(table if found else "no webhook endpoints found")


@app.command()
def show(
    endpoint_id: EndpointArgument,
    *,
    tenant: TenantOption,
    output: OutputOption = Output.TEXT,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Show an endpoint and its newest deliveries that failed at first, with their last attempts.

    \b
    orderctl webhooks show we_4kq2v7r0c9xj5m1tznb8h3wdfe --tenant acme
    """

    async def read(target: Target) -> EndpointStatus:
        async with open_webhook_endpoints(target) as endpoints:
            return await endpoints.show(tenant, endpoint_id)

    with reported_failures():
        found = asyncio.run(read(make_target(local, state)))
        if output is Output.JSON:
            print_json(_summary(found) | {"deliveries": list(map(_delivery, found.deliveries))})
            return
        for name, value in _summary(found).items():
            console.print(f"{name:>16}  {'-' if value is None else value}")
        for delivery in found.deliveries:
            last = delivery.attempts[-1] if delivery.attempts else None
            console.print(f"\n{delivery.event.id}: {delivery.state}, {delivery.attempted} attempts")
            if last is not None:
                console.print(f"    {_outcome(last)} at {_time(last.at)}, {last.milliseconds} ms")
                console.print(f"    {printable(last.response[:200])}" if last.response else "    no response body")


@app.command()
def enable(
    endpoint_id: EndpointArgument,
    *,
    tenant: TenantOption,
    dry_run: DryRunOption = False,
    reason: ReasonOption = None,
    yes: YesOption = False,
    local: LocalOption = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Make an endpoint active without a challenge. It continues with the first event that it has not received.

    Its owner can do the same, with a challenge: POST /v1/webhook-endpoints/{id}/verify.

    \b
    orderctl webhooks enable we_4kq2v7r0c9xj5m1tznb8h3wdfe --tenant acme --reason "receiver repaired, case 4711"
    """

    async def read(target: Target) -> EndpointStatus:
        async with open_webhook_endpoints(target) as endpoints:
            return await endpoints.show(tenant, endpoint_id)

    async def activate(target: Target) -> Endpoint:
        async with open_webhook_endpoints(target) as endpoints:
            return await endpoints.enable(tenant, endpoint_id)

    with reported_failures():
        why = None if dry_run else checked_reason(reason, required=True)
        target = make_target(local, state)
        announce_target(target, target.settings.aws_endpoint_url, tenant=tenant, endpoint_id=endpoint_id)
        found = asyncio.run(read(target))
        if why is None:
            console.print(
                f"{endpoint_id} is {_state(found.endpoint)}, and would be active, {found.behind} events behind"
            )
            return
        confirm(f"Send {found.behind} events to {printable(found.endpoint.url)}?", yes=yes)
        record_enable(target, why, tenant, endpoint_id)
        enabled = asyncio.run(activate(target))
        console.print(f"{endpoint_id} is {enabled.state}")


def _state(endpoint: Endpoint) -> str:
    reason = endpoint.health.disabled_reason
    return str(endpoint.state) if reason is None else f"{endpoint.state} ({reason})"


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _outcome(attempt: Attempt) -> str:
    return f"HTTP {attempt.status}" if attempt.error is None else str(attempt.error)


def _summary(status: EndpointStatus) -> dict[str, Any]:
    endpoint, health = status.endpoint, status.endpoint.health
    return {
        "tenant": endpoint.tenant,
        "id": endpoint.endpoint_id,
        "url": endpoint.url,
        "types": sorted(EVENT_TYPES[change] for change in endpoint.types),
        "state": str(health.state),
        "disabled_reason": health.disabled_reason and str(health.disabled_reason),
        "failing_since": health.failing_since and to_text(health.failing_since),
        "failures": health.failures,
        "waiting": endpoint.waiting,
        "behind": status.behind,
        "delivered_at": endpoint.delivered_at and to_text(endpoint.delivered_at),
        "created_at": to_text(endpoint.created_at),
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "event": delivery.event.id,
        "state": str(delivery.state),
        "attempted": delivery.attempted,
        "attempts": [
            {"at": to_text(each.at), "outcome": _outcome(each), "milliseconds": each.milliseconds}
            for each in delivery.attempts
        ],
    }
