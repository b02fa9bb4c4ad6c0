"""Reset of a fake that serves many tests: afterwards its state is that of a new fake."""

from collections.abc import Iterator
from typing import Any

import pytest

from fake_ecs.images import push_image, tag_image
from tests.ecs import SteppedEcs, changing, stepped_ecs

API, ALARM = "order-api", "dev-api-errors"


@pytest.fixture(scope="module")
def ecs() -> Iterator[SteppedEcs]:
    with stepped_ecs() as running:
        yield running


def told(ecs: SteppedEcs) -> list[Any]:
    """Return all API responses about a service and its resources."""
    client, elb = ecs.client("ecs"), ecs.cloud.elbv2
    service = client.describe_services(cluster="dev", services=[API])["services"][0]
    balancer = service["loadBalancers"][0]
    rules = [balancer["advancedConfiguration"][name] for name in ("productionListenerRule", "testListenerRule")]
    groups = [balancer["targetGroupArn"], balancer["advancedConfiguration"]["alternateTargetGroupArn"]]
    answers = [
        client.list_service_deployments(cluster="dev", service=API)["serviceDeployments"],
        sorted(task.id for task in ecs.engine.state.services["dev", API].tasks),
        ecs.cloud.ecr.describe_images(repositoryName=API)["imageDetails"],
        elb.describe_rules(RuleArns=rules)["Rules"],
        [elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"] for group in groups],
        ecs.cloud.cloudwatch.describe_alarms()["MetricAlarms"],
    ]
    client.close()
    return [service, *answers]


def test_everything_that_changed_is_as_it_was(ecs: SteppedEcs) -> None:
    before = told(ecs)
    digest = push_image(ecs.cloud.ecr, API, "sha-0000001", labels={})
    tag_image(ecs.cloud.ecr, API, "live-dev", digest)
    client = ecs.client("ecs")
    client.update_service(cluster="dev", service=API, forceNewDeployment=True)
    client.close()
    ecs.step(120)
    ecs.set_alarm(ALARM, "ALARM")
    changed = told(ecs)
    assert all(now != then for now, then in zip(changed, before, strict=True))

    ecs.engine.faults.throttle("DescribeServices", 100)
    ecs.lag(100)
    ecs.reset()
    assert told(ecs) == before


def test_no_part_has_a_state_that_is_not_reset(ecs: SteppedEcs) -> None:
    """Attributes that a reset does not restore are constructor arguments or other parts."""
    kept = {name for part in ecs.parts for name in vars(part).keys() - changing(part).keys()}

    assert kept == {
        *("arns", "clock", "timing", "faults", "lock"),
        *("_arns", "_balancer", "_blob_url", "_clock", "_cloud", "_engine", "_http", "_random", "_stale", "_timing"),
    }
