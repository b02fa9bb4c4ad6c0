"""The profile by which orderctl reaches the stack on this machine."""

import json
from pathlib import Path

import httpx2
import jwt
import pytest

from aws_json_client import StaticCredentials
from devstack.issuer import ALGORITHM, AUDIENCE, Issuer
from order_operations.live.tasks import API, PROCESSOR
from orderctl.profile import StackNotRunning, StackProfile

DESCRIBED = {
    "api": "http://a:8000/",
    "services": {API: "http://a:8000/", PROCESSOR: "http://b:8081"},
    "aws": "http://127.0.0.1:4566",
    "payments": "http://127.0.0.1:8082",
    "payment_api_key": "sk_test_local",
    "region": "eu-central-1",
    "access_key": "access",
    "secret_key": "secret",
    "table_prefix": "local-",
    "token_url": "http://127.0.0.1:1/token",
    "client_secret": "of this stack",
}


def profile(folder: Path, **changed: str) -> StackProfile:
    (folder / "stack.json").write_text(json.dumps(DESCRIBED | changed))
    return StackProfile.at(folder)


def test_without_its_file_no_stack_is_running(tmp_path: Path) -> None:
    with pytest.raises(StackNotRunning, match=r"stack\.json does not exist.* Start one with `orderctl local up`"):
        StackProfile.at(tmp_path)


def test_a_file_of_another_release_is_told(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"api": "http://a:8000"}')
    with pytest.raises(StackNotRunning, match=r"stack\.json was written by another release"):
        StackProfile.at(tmp_path)


def test_the_tasks_of_the_stack_are_in_its_file(tmp_path: Path) -> None:
    assert [(task.service, task.metrics_url) for task in profile(tmp_path).tasks] == [
        (API, "http://a:8000/metrics"),
        (PROCESSOR, "http://b:8081/metrics"),
    ]


def test_operators_work_on_the_tables_of_the_stack(tmp_path: Path) -> None:
    target = profile(tmp_path).target()
    assert target.settings.dynamodb_endpoint == target.settings.sqs_endpoint == "http://127.0.0.1:4566"
    assert target.settings.tables.orders == "local-orders"
    credentials = target.sync_session.get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.secret_key) == ("access", "secret")
    assert isinstance(target.credentials, StaticCredentials)
    assert target.credentials.key == ("access", "secret", None)
    assert target.settings.aws_region == target.sync_session.region_name == "eu-central-1"


def test_a_customer_gets_a_token_of_the_stacks_issuer(tmp_path: Path) -> None:
    issuer = Issuer.at(tmp_path / "key.pem")
    with issuer.serve(client_secret="of this stack") as jwks_url:
        token_url = str(httpx2.URL(jwks_url).join("/token"))
        token = profile(tmp_path, token_url=token_url).token("acme", "ada")
        with pytest.raises(StackNotRunning, match="401"):
            profile(tmp_path, token_url=token_url, client_secret="of another").token("acme", "ada")
    claims = jwt.decode(token, issuer.private_key.public_key(), algorithms=[ALGORITHM], audience=AUDIENCE)
    assert (claims["tenant"], claims["sub"]) == ("acme", "ada")


def test_an_issuer_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(StackNotRunning, match=r"http://127\.0\.0\.1:1/token does not respond"):
        profile(tmp_path).token("acme", "ada")


def test_the_payment_sandbox_is_in_its_file(tmp_path: Path) -> None:
    settings = profile(tmp_path).payment_settings()
    assert (settings.payment_api_base, settings.environment_of_payments) == ("http://127.0.0.1:8082", "local")
    assert settings.payment_api_key.get_secret_value() == "sk_test_local"
