"""`plan`: show what `apply` would change."""

import typer

from infra.operate.conditions import explain_unready, unready
from infra.operate.environment_plan import EnvironmentPlan, prepare
from infra.operate.firewall import firewall_drift
from infra.operate.options import EnvOption, OnlyOption, RegionOption, environment_named, require_organisation
from infra.operate.progress import in_turn
from infra.operate.request import Request, Verb
from infra.stacks import SUPPORTING, Stack
from orderctl.exceptions import Refused
from orderctl.terminal import errors, reported


def plan(ctx: typer.Context, env: EnvOption, only: OnlyOption = None, region: RegionOption = None) -> None:
    """Show what `apply` would change. Changes nothing.

    Says first which account it asks, and as whom. Then it writes the stacks
    anew from the code, and runs `terraform plan` on each, in the order in which
    they would be deployed. It takes no lock, so it is in nobody's way; and what
    it shows may be out of date as soon as somebody else deploys.

    Terraform does not read the firewall's rules back: rules that differ from
    the code are named below the plan.

    A stack that reads what another one is yet to publish cannot be planned
    before that one is deployed: it is left out, and named. In an empty account
    that is most of them.

    \b
    orderctl env plan --env dev
    orderctl env plan --env prod --only services
    orderctl env plan --env prod --only order-api-eu-central-1

    Exit codes: 0 done, 1 a plan failed, 2 usage, 3 refused: something is missing
    (Terraform, credentials, the state bucket), 130 interrupted.
    """
    with reported():
        require_organisation(ctx.obj)
        request = Request(verb=Verb.PLAN, environment=environment_named(env), only=only, region=region)
        show_plans(prepare(ctx.obj, request))


def show_plans(plan: EnvironmentPlan) -> None:
    """Show what each stack would change, or lose if it is to be destroyed.

    Raises:
        Refused: if none can be planned yet.
        Failed, Interrupted: as `in_turn`.
    """
    destroy = plan.request.verb is Verb.DESTROY
    lacking = {} if destroy else unready(plan.stacks, plan.reads, plan.standing, in_turn=False)
    left_out = [explain_unready(stack, missing, plan.request.environment) for stack, missing in lacking.items()]
    plannable = [stack for stack in plan.stacks if stack not in lacking]
    if left_out and not plannable:
        raise Refused("nothing can be planned yet:\n" + "\n".join(f"  {line}" for line in left_out))

    def show(stack: Stack) -> None:
        plan.terraform.init(stack)
        plan.terraform.show_plan(stack, destroy=destroy)
        if stack.kind == SUPPORTING and stack in plan.standing and not destroy:
            wafv2 = plan.account.client("wafv2", stack.region)
            for line in sorted(firewall_drift(wafv2, plan.terraform.folder_of(stack))):
                errors.print(line, style="red")

    in_turn(plan, plannable, show, done="planned")
    for line in left_out:
        errors.print(f"not planned: {line}", style="yellow")
