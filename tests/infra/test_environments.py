"""A choice that cannot be is refused when it is written down, with the reason."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from infra.environments import (
    DEV,
    PROD,
    Deployment,
    Egress,
    Instances,
    Payments,
    Provisioned,
    ServiceSize,
    Strategy,
    Traces,
)

REFUSED: dict[str, Callable[[], object]] = {
    "no valid name: use lower case": lambda: replace(DEV, name="Dev"),
    "at most": lambda: replace(DEV, name="dev-" + "x" * 60),
    "begin it with one of": lambda: replace(DEV, name="test"),
    "name one or more, each once": lambda: replace(DEV, regions=("eu-central-1", "eu-central-1")),
    "name none of its regions": lambda: replace(DEV, leaving_regions=DEV.regions),
    "active_region is us-east-1: use one of": lambda: replace(DEV, active_region="us-east-1"),
    "log_days is 31": lambda: replace(DEV, log_days=31),
    "quiet_minutes is 0": lambda: replace(DEV, quiet_minutes=0),
    "open_shards is 64": lambda: replace(DEV, open_shards=64),
    "no way to the internet, where webhook endpoints are": lambda: replace(
        PROD, egress=Egress.ENDPOINTS, payments=Payments(api_base="https://payments.internal")
    ),
    "no way to the internet": lambda: replace(PROD, egress=Egress.ENDPOINTS),
    "set payments.api_base, such as https://payments.internal": lambda: replace(
        PROD, egress=Egress.ENDPOINTS, payments=Payments(api_base="https://api.stripe.com")
    ),
    "payments.api_base must be an https URL": lambda: Payments(api_base="http://payments.internal"),
    "tokens.jwks_url .* must be an https URL": lambda: replace(DEV.tokens, jwks_url="http://login.example.com/keys"),
    "tokens.issuer .* must be an https URL": lambda: replace(DEV.tokens, issuer="login.example.com"),
    "billed on demand": lambda: replace(PROD, regions=("eu-central-1", "eu-west-1"), billing=Provisioned()),
    "provisioned capacity is 9 to 3": lambda: Provisioned(minimum=9, maximum=3),
    "utilization is 95": lambda: Provisioned(utilization=95),
    "test_cidrs has '10.1.2.3/8'": lambda: replace(DEV, test_cidrs=("10.1.2.3/8",)),
    "test_cidrs has 10.0.0.0/8 twice": lambda: replace(DEV, test_cidrs=("10.0.0.0/8", "10.0.0.0/8")),
    "instances are 3 to 2": lambda: Instances(minimum=3, maximum=2),
    "target_capacity is 0": lambda: Instances(target_capacity=0),
    "in steps of 3 to 2": lambda: Instances(minimum_step=3, maximum_step=2),
    "cpu is 300": lambda: ServiceSize(cpu=300),
    "memory is 700": lambda: ServiceSize(cpu=512, memory=700),
    "tasks are 0 to": lambda: ServiceSize(minimum=0),
    "bake_minutes must be 0 to 1440": lambda: Deployment(bake_minutes=1441),
    "outlive the deploying role's session of 120": lambda: Deployment(bake_minutes=81),
    "the steps and the bake time take 90 minutes": lambda: Deployment(strategy=Strategy.LINEAR, bake_minutes=0),
    "step_percent must be 3.0 to 100": lambda: Deployment(strategy=Strategy.LINEAR, step_percent=2.0),
    "traces.collector .* must be an https URL": lambda: Traces(collector="http://traces.example.com"),
    "above 0, and at most 1": lambda: Traces(collector="https://traces.example.com", share=0.0),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_is_refused(reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        REFUSED[reason]()
