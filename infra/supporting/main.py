"""Write the supporting stacks of an environment: `python -m infra.supporting.main --env dev --out DIR`."""

from dataclasses import replace

from cdktn import App

from infra.constructs.app import synthesize
from infra.environments import Environment
from infra.stacks import registry_regions
from infra.supporting.registry import Registry
from infra.supporting.supporting import FeatureSupporting, Supporting


def build(app: App, environment: Environment) -> None:
    if environment.host is not None:
        FeatureSupporting(app, environment, environment.host)
        return
    for region in registry_regions(environment):
        Registry(app, region)
    for region in environment.regions:
        Supporting(app, environment, region)
    for region in environment.leaving_regions:
        Supporting(app, replace(environment, protected=False), region)


if __name__ == "__main__":
    synthesize(build, description=__doc__)
