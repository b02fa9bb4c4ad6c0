"""Resources that a destruction keeps, those that it removes besides Terraform, and a log group that AWS makes again."""

from dataclasses import replace

import pytest
from botocore.stub import Stubber

from infra import environments
from infra.environments import DEV, PROD, Environment
from infra.naming import insights_log_group
from infra.operate.leftovers import DATA_KEY, PROOF
from infra.stacks import ACCOUNT, Stack
from order_shared.naming import SERVICE_NAMES
from tests.infra.conftest import HOME, Desk, stacks_named
from tests.infra.synthesis import every, stack_of

FAR = "eu-west-1"
REGISTRY = Stack(owner=ACCOUNT, region=HOME, kind="registry")
SUPPORTING = f"supporting-{HOME}"
UNPROTECTED = replace(PROD, protected=False)


def stands(desk: Desk, monkeypatch: pytest.MonkeyPatch, environment: Environment, *stacks: Stack) -> None:
    """Let stacks of an environment stand, each with the key and the record that may stay."""
    monkeypatch.setitem(environments.ENVIRONMENTS, environment.name, environment)
    desk.make_up(environment)
    desk.stand(*stacks)
    for stack in stacks:
        desk.does[f"state {stack.name}"] = {"says": f"{DATA_KEY}\n{PROOF}\naws_vpc.vpc"}


def forgotten(desk: Desk) -> list[tuple[str, str]]:
    """Return the stack and the address of what is taken out of a state."""
    return [(call["stack"], call["arguments"][-1]) for call in desk.calls() if call["arguments"][:2] == ["state", "rm"]]


def supporting(owner: str, region: str = HOME) -> Stack:
    return Stack(owner=owner, region=region, kind="supporting")


def test_the_key_of_prods_data_outlives_the_backups_of_its_tables(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 28. A key that Terraform deletes ends after 30 days, the backup of a deleted table after 35."""
    stands(desk, monkeypatch, UNPROTECTED, supporting("prod"))
    result = desk.run("destroy", "--env", "prod", "--yes")
    assert result.exit_code == 0, result.output
    assert forgotten(desk) == [(SUPPORTING, DATA_KEY)]
    assert desk.applied() == [SUPPORTING]
    assert "keep the key of prod's data in eu-central-1 for 35 days" in result.stderr


def test_no_other_environment_leaves_a_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    stands(desk, monkeypatch, DEV, supporting("dev"))
    assert desk.run("destroy", "--env", "dev", "--yes").exit_code == 0
    assert forgotten(desk) == []


def test_the_proof_stays_while_another_region_needs_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 19. The certificate of every region is renewed by the one record."""
    desk.make_bucket(FAR)
    stands(desk, monkeypatch, replace(DEV, regions=(HOME, FAR)), supporting("dev"), supporting("dev", FAR))
    assert desk.run("destroy", "--env", "dev", "--region", HOME, "--yes").exit_code == 0
    assert forgotten(desk) == [(SUPPORTING, PROOF)]


def test_the_proof_goes_with_the_last_region(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.make_bucket(FAR)
    stands(desk, monkeypatch, replace(DEV, regions=(HOME, FAR)), supporting("dev"), supporting("dev", FAR))
    assert desk.run("destroy", "--env", "dev", "--yes").exit_code == 0
    assert forgotten(desk) == []


class TestLeavingARegion:
    """The environment is protected and stays; one of its former regions goes."""

    LEFT = replace(PROD, leaving_regions=(FAR,))
    ENDED = (
        *(f"{service}-{FAR}" for service in ("order-notifier", "order-processor", "order-api")),
        f"supporting-{FAR}",
        f"supporting-{FAR}",
    )
    """The supporting stack is written without its protections, and then destroyed."""

    @pytest.fixture
    def left(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
        desk.make_bucket(FAR)
        far = (Stack(owner="prod", region=FAR, kind=kind) for kind in ("supporting", *SERVICE_NAMES))
        stands(desk, monkeypatch, self.LEFT, supporting("prod"), *far)
        desk.make_up_leaving(self.LEFT)
        return desk

    def test_it_goes_alone(self, left: Desk) -> None:
        result = left.run("destroy", "--env", "prod", "--region", FAR, "--yes")
        assert result.exit_code == 0, result.output
        assert left.applied() == [*self.ENDED]
        assert forgotten(left) == [(f"supporting-{FAR}", DATA_KEY), (f"supporting-{FAR}", PROOF)]

    def test_it_stays_while_tables_have_replicas_there(self, left: Desk) -> None:
        """A replica is encrypted with the region's key."""
        table = {"TableName": "prod-orders", "TableStatus": "ACTIVE", "Replicas": [{"RegionName": FAR}]}
        with Stubber(left.client("dynamodb")) as answers:
            answers.add_response("describe_table", {"Table": table}, {"TableName": "prod-orders"})
            result = left.run("destroy", "--env", "prod", "--region", FAR, "--yes")
        assert result.exit_code == 3
        assert "prod-orders still has a replica in eu-west-1; first run: orderctl env apply" in result.stderr
        assert not left.applied()

    def test_the_others_are_as_protected_as_before(self, left: Desk) -> None:
        result = left.run("destroy", "--env", "prod", "--yes")
        assert result.exit_code == 3
        assert "prod is protected" in result.stderr


def test_what_is_not_in_the_state_is_not_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack may be half gone."""
    stands(desk, monkeypatch, UNPROTECTED, supporting("prod"))
    desk.does[f"state {SUPPORTING}"] = {"says": "aws_vpc.vpc"}
    assert desk.run("destroy", "--env", "prod", "--yes").exit_code == 0
    assert forgotten(desk) == []


def test_images_go_with_the_registry_and_never_otherwise(desk: Desk) -> None:
    """Row 28. No stack says `force_delete`, so a replacement could not take them."""
    ecr = desk.client("ecr")
    for service in SERVICE_NAMES:
        ecr.create_repository(repositoryName=str(service))
    desk.stand(*stacks_named("dev"), REGISTRY)
    assert desk.run("destroy", "--env", "dev", "--yes").exit_code == 0
    assert len(ecr.describe_repositories()["repositories"]) == len(SERVICE_NAMES)
    for stack in stacks_named("dev"):
        desk.keep(stack.key, {"resources": []})
    desk.stand(REGISTRY)
    assert desk.run("destroy", "--env", "dev", "--registry", "--only", "registry", "--yes").exit_code == 0
    assert ecr.describe_repositories()["repositories"] == []
    assert all("force_delete" not in repository.body for repository in every("aws_ecr_repository"))


@pytest.mark.parametrize("verb", ["destroy", "apply"])
def test_the_log_group_that_comes_back_is_taken_away(desk: Desk, verb: str) -> None:
    """Container Insights makes it while the cluster goes, and the next cluster's stack could not."""
    logs = desk.client("logs")
    logs.create_log_group(logGroupName=insights_log_group("uat"))
    if verb == "destroy":
        desk.stand(supporting("uat"))
    assert desk.run(verb, "--env", "uat", "--yes").exit_code == 0
    assert logs.describe_log_groups()["logGroups"] == []


def test_the_log_group_of_a_cluster_that_stands_stays(desk: Desk) -> None:
    logs = desk.client("logs")
    logs.create_log_group(logGroupName=insights_log_group("uat"))
    desk.stand(supporting("uat"))
    assert desk.run("apply", "--env", "uat", "--yes").exit_code == 0
    assert len(logs.describe_log_groups()["logGroups"]) == 1


def test_the_names_are_those_of_the_stacks() -> None:
    stack = stack_of("prod", "supporting")
    assert {DATA_KEY, PROOF} <= {resource.address for resource in stack.resources()}
    assert stack.the("aws_cloudwatch_log_group.container_insights_logs")["name"] == insights_log_group("prod")
    assert stack.one("aws_ecs_cluster")["name"] == stack.environment.cluster
