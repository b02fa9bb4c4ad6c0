"""Write the service stacks of an environment: `python -m infra.services.main --env dev --out DIR`."""

from collections.abc import Callable
from importlib import import_module

from cdktn import App

from infra.constructs.app import synthesize
from infra.environments import Environment
from infra.services.workspace import ServiceWorkspace
from order_shared.naming import SERVICES, Service


def build(app: App, environment: Environment) -> None:
    for region in (*environment.regions, *environment.leaving_regions):
        for service in SERVICES:
            stack_of(service)(app, environment, region)


def stack_of(service: Service) -> Callable[[App, Environment, str], ServiceWorkspace]:
    """Return the class of a service's stack, such as `OrderApi` in `infra/services/order_api.py`."""
    module = import_module(f"infra.services.{service.module}")
    name = "".join(word.title() for word in service.module.split("_"))
    stack: Callable[[App, Environment, str], ServiceWorkspace] = getattr(module, name)
    return stack


if __name__ == "__main__":
    synthesize(build, description=__doc__)
