"""Every error that botocore's model names for a call of `Fleet` ends in an error that an operator can act on."""

from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from order_operations.deployments.errors import DeploymentError
from order_operations.deployments.fleet import Deployment, Fleet, Hook, Revision, StartFailed, Status
from order_operations.deployments.service_ref import ServiceRef
from tests.factories import NOON

REF = ServiceRef(environment="dev", kind="order-api")
MODEL = botocore.session.Session().get_service_model("ecs")
DEPLOYMENT = Deployment(
    arn="arn:aws:ecs:eu-central-1:000000000000:service-deployment/dev/order-api/one",
    status=Status.IN_PROGRESS,
    state="IN_PROGRESS",
    stage=None,
    reason="",
    created_at=NOON,
    finished_at=None,
    target=Revision(arn="green"),
    sources=(),
    hook=None,
    alarms=(),
    alarms_status="",
    triggered_alarms=(),
    bake_minutes=0,
    rollback_reason="",
    rollback_revision=None,
)
HOOK = Hook(id="ecs-pause-1", expires_at=None, timeout_action="ROLLBACK")

CALLS: dict[str, Callable[[Fleet], object]] = {
    "UpdateService": lambda fleet: fleet.start(),
    "DescribeServices": lambda fleet: fleet.describe(),
    "ListServiceDeployments": lambda fleet: fleet.history(),
    "DescribeServiceDeployments": lambda fleet: fleet.deployment(DEPLOYMENT.arn),
    "DescribeServiceRevisions": lambda fleet: fleet.digest_of("revision"),
    "StopServiceDeployment": lambda fleet: fleet.roll_back(DEPLOYMENT),
    "ContinueServiceDeployment": lambda fleet: fleet.proceed(DEPLOYMENT, HOOK),
}
"""The calls about a deployment. The last release of `orderctl` read a task definition too, by the same client."""

CHANGES_A_DEPLOYMENT = ("StopServiceDeployment", "ContinueServiceDeployment")
REPORTED_AS_THEY_ARE = {"AccessDeniedException", "ServerException", "UnsupportedFeatureException"}
"""Errors of a late call that are no sign of lateness: the command reports them, and the state that is left."""


class Failing:
    """A client whose every call fails alike."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Callable[..., object]:
        def fail(**_: object) -> object:
            raise self._error

        return fail


def client_error(operation: str, code: str) -> ClientError:
    status = 500 if code == "ServerException" else 400
    response: Any = {"Error": {"Code": code, "Message": "injected"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


ERRORS = [(operation, shape.name) for operation in CALLS for shape in MODEL.operation_model(operation).error_shapes]


@pytest.mark.parametrize(("operation", "code"), ERRORS)
def test_each_error_of_the_model_is_handled(operation: str, code: str) -> None:
    error = client_error(operation, code)
    with pytest.raises((DeploymentError, StartFailed, ClientError)) as caught:
        CALLS[operation](Fleet(Failing(error), REF))
    match caught.value:
        case StartFailed() as failed:
            assert failed.took_effect is (None if code == "ServerException" else False)
        case DeploymentError() as refused:
            assert "`" in str(refused)
        case ClientError():
            reads = operation not in (*CHANGES_A_DEPLOYMENT, "UpdateService")
            assert reads or code in REPORTED_AS_THEY_ARE


def test_a_lost_answer_may_have_taken_effect() -> None:
    with pytest.raises(StartFailed) as caught:
        Fleet(Failing(ReadTimeoutError(endpoint_url="https://ecs")), REF).start()
    assert caught.value.took_effect is None


def test_a_throttled_start_had_no_effect() -> None:
    with pytest.raises(StartFailed) as caught:
        Fleet(Failing(client_error("UpdateService", "ThrottlingException")), REF).start()
    assert (caught.value.took_effect, caught.value.is_throttled) == (False, True)


STATUSES: Any = MODEL.shape_for("ServiceDeploymentStatus")


@pytest.mark.parametrize("name", [*STATUSES.enum, "STOP_IN_PROGRESS"])
def test_every_status_of_the_model_is_known_and_a_new_one_is_waited_for(name: str) -> None:
    status = Status(name)
    assert (status is Status.UNKNOWN) == (name == "STOP_IN_PROGRESS")
    assert not Status.UNKNOWN.is_over


def test_start_is_called_by_the_client_that_repeats_nothing() -> None:
    once: Any = Failing(client_error("UpdateService", "InvalidParameterException"))
    with pytest.raises(StartFailed):
        Fleet(None, REF, ecs_once=once).start()
