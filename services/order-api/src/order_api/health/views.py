"""Is it alive, is it ready, and how is it doing."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from order_api.dependencies import services_of
from order_shared.telemetry import EXPOSITION_CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Alive")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Ready: DynamoDB answers",
    responses={503: {"description": "DynamoDB does not answer: no order can be taken."}},
)
async def readyz(request: Request) -> JSONResponse:
    """Asks DynamoDB and SQS for real. Without SQS orders are still taken, and it says `degraded`."""
    report = await services_of(request).readiness.check()
    return JSONResponse(report.to_json(), status_code=200 if report.ready else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    return Response(services_of(request).metrics.exposition(), media_type=EXPOSITION_CONTENT_TYPE)
