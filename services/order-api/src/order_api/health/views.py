"""Health endpoints and metrics. None of them is reachable from the internet: the load balancer forwards other paths."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from order_api.dependencies import services_of
from order_api.health.lifecycle import Phase
from order_shared.runtime.metrics import EXPOSITION_CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Check that the process is alive")
async def healthz() -> dict[str, str]:
    """Return 200 while the process runs. The container health check calls this."""
    return {"status": "ok"}


@router.get(
    "/serving",
    summary="Check that the process accepts traffic",
    responses={503: {"description": "The process is starting or stopping."}},
)
async def serving(request: Request) -> JSONResponse:
    """Return 200 from the first readiness until SIGTERM. The load balancer's target group calls this.

    An outage of DynamoDB does not change the status, so that no task is removed from the target group or replaced.
    """
    services = services_of(request)
    phase = await services.lifecycle.current(services.readiness)
    return JSONResponse({"status": phase}, status_code=200 if phase is Phase.SERVING else 503)


@router.get(
    "/readyz",
    summary="Check that DynamoDB and SQS respond",
    responses={503: {"description": "DynamoDB does not respond, so orders cannot be accepted."}},
)
async def readyz(request: Request) -> JSONResponse:
    """Send a request to DynamoDB and to SQS. Without SQS, orders are still accepted, and `sqs` is `degraded`.

    For operators, and for the start of the local stack. No load balancer or container check calls this.
    """
    report = await services_of(request).readiness.check()
    return JSONResponse(report.to_json(), status_code=200 if report.ready else 503)


@router.get("/metrics", summary="Get the Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    return Response(services_of(request).metrics.exposition(), media_type=EXPOSITION_CONTENT_TYPE)
