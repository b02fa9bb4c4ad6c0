"""Writes the stacks of every environment and of every choice: run by `synthesis.py` in infra's own environment.

    python -m tests.infra.variants FOLDER

writes `FOLDER/<variant>/<app>/stacks/<stack>/cdk.tf.json`.
"""

import sys
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path

from infra import environments
from infra.constructs.app import write
from infra.environments import (
    DEV,
    ENVIRONMENTS,
    ORGANISATION,
    PROD,
    Capacity,
    Deployment,
    Egress,
    Environment,
    OnDemand,
    Payments,
    Provisioned,
    Strategy,
    Traces,
    environment_of,
    feature_of,
)
from infra.services.main import build as build_services
from infra.supporting.main import build as build_supporting

FEATURE = "feat-checkout-with-a-rather-long-name"
SECOND_REGION = "eu-west-1"
INSIDE = Payments(api_base="https://payments.internal.example.com")
HCP = "hcp"


def choices() -> dict[str, Environment]:
    """Each egress with each capacity, and each billing with each of both, on prod; the name says which."""
    billings: tuple[OnDemand | Provisioned, ...] = (OnDemand(), Provisioned())
    return {
        f"{egress}-{capacity}-{billing.__class__.__name__.lower()}": replace(
            PROD,
            egress=egress,
            capacity=capacity,
            billing=billing,
            payments=INSIDE,
            webhooks=egress is not Egress.ENDPOINTS,
        )
        for (egress, capacity), billing in zip(product(Egress, Capacity), cycle(billings), strict=False)
    }


def variants() -> dict[str, Environment]:
    two_regions = replace(PROD, regions=(PROD.home, SECOND_REGION))
    return {
        **ENVIRONMENTS,
        FEATURE: environment_of(FEATURE),
        **choices(),
        "two-regions": two_regions,
        "failed-over": replace(two_regions, active_region=SECOND_REGION),
        "own-certificate": replace(
            DEV, certificate_domain="orders.example.com", stores_history=False, former_message_types=True
        ),
        "linear": replace(PROD, deployment=Deployment(strategy=Strategy.LINEAR, step_percent=25.0, step_minutes=7)),
        "traced": replace(DEV, traces=Traces(collector="https://traces.internal.example.com")),
        "feature-on-instances": feature_of("feat-x", replace(DEV, capacity=Capacity.EC2)),
    }


def main(folder: Path) -> None:
    for name, environment in variants().items():
        write_both(environment, folder / name)
    environments.ORGANISATION = replace(ORGANISATION, hcp_organisation="example")
    write_both(DEV, folder / HCP)


def write_both(environment: Environment, folder: Path) -> None:
    write(build_supporting, environment, folder / "supporting")
    write(build_services, environment, folder / "services")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
