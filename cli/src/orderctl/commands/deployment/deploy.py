"""`orderctl deploy`: deploy an image to a service."""

from typing import Annotated

import typer

from orderctl.commands.deployment.options import (
    UNCHANGED,
    AutoOption,
    DespiteOption,
    EnvOption,
    ServiceArgument,
    TestUrlOption,
    WaitOption,
)
from orderctl.commands.deployment.running import DeployOptions, ship
from orderctl.deploy.context import DeployContext
from orderctl.terminal import DryRunOption, Output, OutputOption, ReasonOption, YesOption, reported


def deploy(
    service: ServiceArgument,
    *,
    tag: Annotated[
        str,
        typer.Option(
            "--tag", help="sha-…, v…, another environment's live tag, or a digest sha256:….", show_default=False
        ),
    ],
    env: EnvOption,
    auto: AutoOption = False,
    wait: WaitOption = True,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    reason: ReasonOption = None,
    despite: DespiteOption = None,
    test_url: TestUrlOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Deploy an image to a service, and roll back if the deployment fails.

    \b
    orderctl deploy order-api --env dev --tag sha-5d6e7f8 --dry-run
    orderctl deploy order-api --env dev --tag sha-5d6e7f8 --auto
    orderctl deploy order-api --env prod --tag sha-5d6e7f8 --reason "release 4"

    First, the image and the service are checked; ECR's scan of the image is
    awaited for ten minutes at most. Then the tag live-ENV is moved to the image,
    and ECS starts a deployment, which is followed to its end. order-api pauses
    before production traffic shifts: green is tested through the test listener,
    and then traffic shifts (--auto) or you are asked. After a rollback, the tag
    is moved back.

    An image whose last deployment was rolled back is refused, and so is every
    deployment while an alarm is on, since ECS would watch none. With a --reason,
    `--despite rejected` and `--despite alarms` override these refusals.

    Only one operator at a time can deploy a service. Production needs a --reason.
    After Ctrl-C, ECS continues the deployment, and the next command to run is
    printed. Run the same command again, or `orderctl finish`, to follow it.

    With a token in ORDER_SMOKE_TOKEN, the smoke test checks that the new release
    responds, and places an order. Without it, the test only checks that the API
    responds and requires a token. If ORDER_ACCOUNT_ID is set, the command refuses
    every other AWS account.

    Exit codes: 0 done, 1 failed or rolled back, 2 usage, 3 refused and nothing
    changed, 4 not finished (--no-wait, or paused with no terminal to ask at), 130
    interrupted.
    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        options = DeployOptions(
            auto=auto,
            wait=wait,
            dry_run=dry_run,
            yes=yes,
            reason=reason,
            despite=frozenset(despite or ()),
            test_url=test_url,
            output=output,
        )
        ship(context, tag, options)
