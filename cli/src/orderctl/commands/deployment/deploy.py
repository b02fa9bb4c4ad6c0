"""`orderctl deploy`: the one verb that ships an image."""

from typing import Annotated

import typer

from orderctl.commands.deployment.options import (
    AutoOption,
    DryRunOption,
    EnvOption,
    JsonOption,
    ServiceArgument,
    TestUrlOption,
    WaitOption,
    YesOption,
    reported,
)
from orderctl.commands.deployment.running import How, ship
from orderctl.deploy.site import Site


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
    test_url: TestUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring an image to where a service runs, and back if it does not stay.

    \b
    orderctl deploy order-api --env dev --tag sha-5d6e7f8 --dry-run
    orderctl deploy order-api --env dev --tag sha-5d6e7f8 --auto
    orderctl deploy order-processor --env prod --tag sha-5d6e7f8

    Looks first whether the image may run there, and whether the service is in a
    state to go back to; ECR's scan of the image is waited for, ten minutes at
    most. Then it points the tag live-ENV at the image, tells ECS, and follows
    what happens. order-api pauses before it has customers: its green side is
    tested through the test listener, and then it goes on (--auto) or asks.
    After any rollback the tag goes back too.

    Only one operator at a time. Ctrl-C leaves the deployment to ECS and says
    which command goes on; the same command, given again, follows what is under
    way.

    With a token in ORDER_SMOKE_TOKEN the test checks that the new release
    answers, and places an order; without one it only checks that the API
    answers and asks for a token. ORDER_ACCOUNT_ID keeps a command out of
    every other AWS account.

    Exit codes: 0 done, 1 failed or rolled back, 2 asked for wrongly, 3 refused
    and nothing changed, 4 under way (--no-wait, or a pause that nobody could be
    asked about), 130 interrupted.
    """
    with reported():
        site = Site.open(env, service)
        how = How(auto=auto, wait=wait, dry_run=dry_run, yes=yes, test_url=test_url, as_json=as_json)
        ship(site, tag, how)
