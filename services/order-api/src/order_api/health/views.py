"""Health endpoints and metrics. None of them is reachable from the internet: the load balancer forwards other paths."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from order_api.dependencies import services_of
from order_api.health.lifecycle import Phase
from order_shared.runtime.metrics import EXPOSITION_CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Alive")
async def healthz() -> dict[str, str]:
    """Return 200 while the process lives. The container's health check asks it."""
    return {"status": "ok"}


@router.get(
    "/serving",
    summary="Serving: in the target group",
    responses={503: {"description": "The process has not been ready yet, or has been told to stop."}},
)
async def serving(request: Request) -> JSONResponse:
    """Return 200 from the first readiness until SIGTERM. The load balancer's target group asks it.

    An outage of DynamoDB does not change it, so that no outage takes tasks out of the target group or replaces them.
    """
    services = services_of(request)
    phase = await services.lifecycle.current(services.readiness)
    return JSONResponse({"status": phase}, status_code=200 if phase is Phase.SERVING else 503)


@router.get(
    "/readyz",
    summary="Ready: DynamoDB answers",
    responses={503: {"description": "DynamoDB does not answer: no order can be taken."}},
)
async def readyz(request: Request) -> JSONResponse:
    """Asks DynamoDB and SQS for real. Without SQS orders are still taken, and it says `degraded`.

    For people, and for the start of the local stack. No load balancer and no container check asks it.
    """
    report = await services_of(request).readiness.check()
    return JSONResponse(report.to_json(), status_code=200 if report.ready else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    return Response(services_of(request).metrics.exposition(), media_type=EXPOSITION_CONTENT_TYPE)
