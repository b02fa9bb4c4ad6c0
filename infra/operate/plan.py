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

    First it prints the account and your identity. Then it writes the stacks from
    the code, and runs `terraform plan` on each, in the order of `apply`. It takes
    no lock, so it blocks no one; its result is out of date as soon as another
    operator deploys.

    Terraform does not read the firewall's rules: rules that differ from the code
    are listed below the plan.

    A stack that reads the outputs of a stack that does not exist yet cannot be
    planned: it is left out and listed. In an empty account most stacks are.

    \b
    orderctl env plan --env dev
    orderctl env plan --env prod --only services
    orderctl env plan --env prod --only order-api-eu-central-1

    Exit codes: 0 done, 1 a plan failed, 2 usage, 3 refused: a prerequisite is
    missing (Terraform, credentials, the state bucket), 130 interrupted.
    """
    with reported():
        require_organisation(ctx.obj)
        request = Request(verb=Verb.PLAN, environment=environment_named(env), only=only, region=region)
        show_plans(prepare(ctx.obj, request))


def show_plans(plan: EnvironmentPlan) -> None:
    """Show the changes of each stack, or for `destroy` the resources that would be destroyed.

    Raises:
        Refused: if no stack can be planned yet.
        Failed: if a plan fails.
        Interrupted: after a signal.
    """
    destroy = plan.request.verb is Verb.DESTROY
    lacking = {} if destroy else unready(plan.stacks, plan.reads, plan.existing, in_turn=False)
    left_out = [explain_unready(stack, missing, plan.request.environment) for stack, missing in lacking.items()]
    plannable = [stack for stack in plan.stacks if stack not in lacking]
    if left_out and not plannable:
        raise Refused("nothing can be planned yet:\n" + "\n".join(f"  {line}" for line in left_out))

    def show(stack: Stack) -> None:
        plan.terraform.init(stack)
        plan.terraform.show_plan(stack, destroy=destroy)
        if stack.kind == SUPPORTING and stack in plan.existing and not destroy:
            wafv2 = plan.account.client("wafv2", stack.region)
            for line in sorted(firewall_drift(wafv2, plan.terraform.folder_of(stack))):
                errors.print(line, style="red")

    in_turn(plan, plannable, show, done="planned")
    for line in left_out:
        errors.print(f"not planned: {line}", style="yellow")
