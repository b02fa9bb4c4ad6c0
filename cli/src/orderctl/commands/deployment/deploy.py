"""`orderctl deploy`: the one verb that ships an image."""

from typing import Annotated

import typer

from orderctl.commands.deployment.options import (
    UNCHANGED,
    AutoOption,
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
    test_url: TestUrlOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Bring an image to where a service runs, and back if it does not stay.

    \b
    orderctl deploy order-api --env dev --tag sha-5d6e7f8 --dry-run
    orderctl deploy order-api --env dev --tag sha-5d6e7f8 --auto
    orderctl deploy order-api --env prod --tag sha-5d6e7f8 --reason "release 4"

    First it checks whether the image may run there, and whether the service can
    be rolled back; it waits ten minutes at most for ECR's scan of the image. Then
    it points the tag live-ENV at the image, starts a deployment in ECS, and
    follows it. order-api pauses before production traffic is shifted: green is
    tested through the test listener, and then traffic shifts (--auto) or you are
    asked. After any rollback the tag goes back too.

    One operator at a time. Production needs a --reason. Ctrl-C leaves the
    deployment to ECS and says which command goes on; the same command, given
    again, follows the deployment that is under way.

    With a token in ORDER_SMOKE_TOKEN the test checks that the new release
    answers, and places an order; without one it only checks that the API
    answers and asks for a token. ORDER_ACCOUNT_ID keeps a command out of
    every other AWS account.

    Exit codes: 0 done, 1 failed or rolled back, 2 usage, 3 refused and nothing
    changed, 4 not finished (--no-wait, or paused and nobody could be asked), 130
    interrupted.
    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        options = DeployOptions(
            auto=auto, wait=wait, dry_run=dry_run, yes=yes, reason=reason, test_url=test_url, output=output
        )
        ship(context, tag, options)
