"""What a new environment's services start with: given once, never said, and never another environment's money."""

import base64
import json
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import Result

from infra.environments import ENVIRONMENTS
from infra.operate.first_images import INDEX
from infra.operate.first_secrets import SECRETS
from order_shared.naming import SERVICE_NAMES
from tests.infra.conftest import HOME, MOTO_ACCOUNT, Desk
from tests.infra.synthesis import FEATURE, stack_of

TAG = "sha-5d6e7f8"
KEY = "sk_test_of_dev"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {"digest": "sha256:" + digit * 64, "size": 1, "platform": {"os": "linux", "architecture": architecture}}
            for digit, architecture in (("a", "arm64"), ("b", "amd64"), ("c", "unknown"))
        ],
    },
    indent=3,  # not as Python would write it
)


@dataclass(frozen=True)
class Ground:
    """An account in which the supporting stacks of dev, prod and feat-login stand, and both images are pushed."""

    desk: Desk
    secrets: Any
    ecr: Any

    def init(self, env: str, *words: str) -> Result:
        return self.desk.run("init", "--env", env, *words)

    def value(self, name: str) -> str | None:
        try:
            return str(self.secrets.get_secret_value(SecretId=name)["SecretString"])
        except self.secrets.exceptions.ResourceNotFoundException:
            return None

    def values(self) -> dict[str, str | None]:
        return {each["Name"]: self.value(each["Name"]) for each in self.secrets.list_secrets()["SecretList"]}

    def image(self, repository: str, tag: str) -> tuple[str, str] | None:
        """Digest and manifest."""
        images = self.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        return (images[0]["imageId"]["imageDigest"], images[0]["imageManifest"]) if images else None


FEATURES = [f"features/{name}" for name in SERVICE_NAMES]
GIVEN = len(SECRETS) + len(SERVICE_NAMES)
"""Lines of the output: a value for each secret, and an image for each service."""


@pytest.fixture
def ground(desk: Desk) -> Ground:
    """dev has a payment key."""
    session = desk.context.session()
    secrets: Any = session.client("secretsmanager", region_name=HOME)
    ecr: Any = session.client("ecr", region_name=HOME)
    for environment in ("dev", "prod", "feat-login"):
        for secret in SECRETS:
            secrets.create_secret(Name=f"{environment}/{secret}")
    secrets.put_secret_value(SecretId="dev/payment-api-key", SecretString=KEY)
    for repository in (*SERVICE_NAMES, *FEATURES):
        ecr.create_repository(repositoryName=repository)
        ecr.put_image(repositoryName=repository, imageManifest=MANIFEST, imageManifestMediaType=INDEX, imageTag=TAG)
    return Ground(desk, secrets, ecr)


def refused(result: Result, text: str, code: int = 3) -> None:
    assert (result.exit_code, text in result.stderr) == (code, True), result.output


def test_a_feature_gets_secrets_and_images(ground: Ground) -> None:
    result = ground.init("feat-login", "--tag", TAG)
    assert result.exit_code == 0, result.output
    cursor = ground.value("feat-login/cursor-secrets")
    assert cursor is not None
    assert len(bytes.fromhex(cursor)) == 32
    webhooks = ground.value("feat-login/webhook-keys")
    assert webhooks is not None
    assert len(base64.urlsafe_b64decode(webhooks)) == 32
    assert ground.value("feat-login/payment-api-key") == KEY
    assert all(value not in result.output for value in (cursor, webhooks, KEY))
    assert result.stdout.count("  given") == GIVEN
    for repository in FEATURES:
        assert ground.image(repository, "live-feat-login") == ground.image(repository, TAG)
        assert ground.image(repository, TAG) is not None


def test_the_index_is_kept_as_it_is_with_its_attestations(ground: Ground) -> None:
    ground.init("feat-login", "--tag", TAG)
    found = ground.image("features/order-api", "live-feat-login")
    assert found is not None
    assert found[1] == MANIFEST


def test_twice_leaves_everything_as_it_is(ground: Ground) -> None:
    ground.init("feat-login", "--tag", TAG)
    before = ground.values()
    again = ground.init("feat-login", "--tag", "sha-newer")  # is not looked for
    assert (again.exit_code, again.stdout.count("unchanged")) == (0, GIVEN)
    assert ground.values() == before


def test_cursors_of_two_environments_are_signed_differently(ground: Ground) -> None:
    ground.init("dev", "--tag", TAG)
    ground.init("feat-login", "--tag", TAG)
    assert ground.value("dev/cursor-secrets") != ground.value("feat-login/cursor-secrets")


def test_no_other_gets_the_payment_key_of_dev(ground: Ground) -> None:
    """With a provider's test key, prod would confirm orders that nobody has paid."""
    before = ground.values()
    refused(ground.init("prod", "--tag", TAG), "prod/payment-api-key has no value, and only you have it")
    assert ground.values() == before
    assert ground.image("order-api", "live-prod") is None


def test_once_its_operator_has_put_it_there_the_rest_is_given(ground: Ground) -> None:
    ground.secrets.put_secret_value(SecretId="prod/payment-api-key", SecretString="sk_live")
    assert ground.init("prod", "--tag", TAG).exit_code == 0
    assert ground.value("prod/payment-api-key") == "sk_live"
    assert ground.value("prod/cursor-secrets") is not None


def test_a_host_without_a_payment_key_is_told(ground: Ground) -> None:
    ground.secrets.delete_secret(SecretId="dev/payment-api-key", ForceDeleteWithoutRecovery=True)
    ground.secrets.create_secret(Name="dev/payment-api-key")
    refused(ground.init("feat-login", "--tag", TAG), "dev/payment-api-key has no value")
    assert ground.value("feat-login/cursor-secrets") is None


def test_before_its_supporting_stack_there_is_nothing_to_give_a_value(ground: Ground) -> None:
    refused(ground.init("uat", "--tag", TAG), "no secret uat/cursor-secrets; first run: orderctl env apply")


def test_an_image_that_was_not_pushed_is_missed_by_name(ground: Ground) -> None:
    ground.ecr.batch_delete_image(repositoryName="features/order-processor", imageIds=[{"imageTag": TAG}])
    refused(
        ground.init("feat-login", "--tag", TAG), f"order-processor:{TAG} is not in the registry: run `make push` first"
    )
    assert ground.image("order-api", "live-feat-login") is None
    assert ground.value("feat-login/cursor-secrets") is None


def test_without_a_tag_it_says_that_it_needs_one_if_it_does(ground: Ground) -> None:
    refused(ground.init("feat-login"), "order-api has no image live-feat-login: give the image to start with by --tag")
    ground.init("feat-login", "--tag", TAG)
    assert ground.init("feat-login").exit_code == 0


def test_a_dry_run_only_says(ground: Ground) -> None:
    before = ground.values()
    result = ground.init("feat-login", "--tag", TAG, "--dry-run")
    assert (result.exit_code, result.stdout.count("would be given")) == (0, GIVEN)
    assert ground.values() == before
    assert ground.image("order-api", "live-feat-login") is None


def test_another_account_than_the_one_that_is_expected(ground: Ground) -> None:
    desk = ground.desk
    desk.context = replace(desk.context, environ={**desk.context.environ, "ORDER_ACCOUNT_ID": "999999999999"})
    before = ground.values()
    refused(ground.init("feat-login", "--tag", TAG), f"belong to account {MOTO_ACCOUNT}, but ORDER_ACCOUNT_ID is 9999")
    assert ground.values() == before


def test_a_region_that_it_is_not_in(ground: Ground) -> None:
    refused(ground.init("dev", "--tag", TAG, "--region", "us-east-1"), "dev is not in us-east-1", code=2)


@pytest.mark.parametrize("call", ["secretsmanager.DescribeSecret", "ecr.DescribeImages"])
def test_an_answer_that_does_not_come_is_no_lack(ground: Ground, call: str) -> None:
    """moto refuses nobody."""

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "you may not"}}, call)

    session: Any = boto3.Session()
    session.events.register(f"before-call.{call}", refuse)
    ground.desk.context = replace(ground.desk.context, session=lambda: session)
    result = ground.init("feat-login", "--tag", TAG)
    assert (result.exit_code, "you may not" in result.stderr) == (1, True)
    assert ground.value("feat-login/cursor-secrets") is None


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, FEATURE])
def test_every_secret_of_an_environment_is_known(environment: str) -> None:
    made = {each["name"] for each in stack_of(environment, "supporting").resources("aws_secretsmanager_secret")}
    assert made == {f"{environment}/{secret}" for secret in SECRETS}
