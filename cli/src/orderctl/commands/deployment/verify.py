"""`orderctl verify`: the preflight alone."""

from typing import Annotated

import typer

from orderctl.commands.deployment.options import EnvOption, JsonOption, ServiceArgument, announce, reported
from orderctl.commands.deployment.report import Report
from orderctl.commands.deployment.running import look
from orderctl.deploy.site import Site


def verify(
    service: ServiceArgument,
    *,
    env: EnvOption,
    tag: Annotated[
        str | None, typer.Option("--tag", help="The image to look at; the one that is live, if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look whether an image could be deployed now: OK, SKIP or NG for each thing
    that must hold.

    \b
    orderctl verify order-api --env prod --tag sha-5d6e7f8

    Exit codes: 0 it could, 3 something is NG.
    """
    with reported():
        site = Site.open(env, service)
        image = site.images.get(tag or site.place.live_tag)
        announce(site, f"verify {image.digest}")
        look(site, Report(site.audit), image, as_json=as_json)
