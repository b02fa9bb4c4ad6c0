"""Writes the service stacks of an environment: `python -m infra.services.main --env dev --out DIR`."""

from cdktn import App

from infra.constructs.app import synthesize
from infra.environments import Environment
from infra.services.order_api import OrderApi
from infra.services.order_processor import OrderProcessor


def build(app: App, environment: Environment) -> None:
    for region in (*environment.regions, *environment.leaving_regions):
        OrderApi(app, environment, region)
        OrderProcessor(app, environment, region)


if __name__ == "__main__":
    synthesize(build, description=__doc__)
