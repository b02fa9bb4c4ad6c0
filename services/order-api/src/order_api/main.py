"""Composition root and entry point of the API."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from datetime import timedelta
from importlib.metadata import version

import structlog
from aiohttp import ClientSession
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute

from order_api import document, problems
from order_api.auth import Discovery, JwksClient, KeySource, TokenRules, TokenVerifier, open_session
from order_api.config import ApiSettings
from order_api.cursors import CursorCodec
from order_api.dependencies import OPERATIONAL, Services, declared_access
from order_api.event.service import EventService
from order_api.event.stream import EventStreams
from order_api.health.lifecycle import Lifecycle
from order_api.limits import TenantBuckets
from order_api.metrics import ApiMetrics
from order_api.middleware import Admission, RequestContext
from order_api.order.service import OrderService
from order_api.pages.views import SITE, SITE_WITH_REFERENCE
from order_api.product.catalogue import Catalogue
from order_api.product.service import ProductService
from order_api.routes import LOCAL_ROUTES, REFERENCE_ROUTES, ROUTES
from order_api.server import make_server
from order_api.tenant_order.service import TenantOrderService
from order_api.webhook.challenges import CHALLENGE_SECONDS, Challenges
from order_api.webhook.delivery_service import DeliveryService
from order_api.webhook.service import WebhookService
from order_pages.headers import PageHeaders
from order_shared.domain.clock import Clock, UniqueClock
from order_shared.messaging.publisher import MessagePublisher, Publisher
from order_shared.runtime.adapters import Adapters, open_adapters
from order_shared.runtime.config import Environment, load_settings
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.readiness import Readiness
from order_shared.runtime.sockets import listen
from order_shared.runtime.tracing import open_tracing
from order_shared.runtime.tracing.port import NO_TRACING, Tracing
from order_shared.webhook_http.sender import WebhookSender, open_sender

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 5.0
STARTUP_FAILED = 3


def create_app(
    settings: ApiSettings,
    *,
    adapters: Adapters | None = None,
    keys: KeySource | None = None,
    clock: Clock | None = None,
    tracing: Tracing = NO_TRACING,
    sender: WebhookSender | None = None,
) -> FastAPI:
    """Return the application. It opens the AWS adapters at its start unless `adapters` are passed, as tests do.

    `sender` sends the challenges of webhook endpoints; by default a sender that is opened at the start.
    """
    metrics = ApiMetrics()
    metrics.name_build("order-api", settings.commit)
    lifecycle = Lifecycle()
    buckets = TenantBuckets(rate=settings.rate_limit_per_second, burst=settings.rate_limit_burst)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opening: AbstractAsyncContextManager[Adapters] = (
            nullcontext(adapters)
            if adapters
            else open_adapters(settings, metrics, deadline=settings.accept_deadline_seconds, tracing=tracing)
        )
        async with (
            opening as parts,
            open_session() as http,
            nullcontext(sender) if sender else _sender(settings) as challenger,
            aclosing(tracing),
        ):
            publisher = tracing.publisher(
                Publisher(
                    parts.queue,
                    former_types=parts.former_message_types,
                    on_batch=metrics.publish_batch.observe,
                    on_failure=metrics.publish_failures.inc,
                )
            )
            verifier = TokenVerifier(keys or _key_source(settings, http), token_rules(settings))
            services = _wire(
                settings, parts, verifier, publisher, metrics, clock or UniqueClock(), lifecycle, buckets, challenger
            )
            app.state.services = services
            yield
            await services.event_streams.aclose()
            await publisher.close(FLUSH_SECONDS)

    app = FastAPI(
        title="Order API",
        version=version("order-api"),
        description="Each order is stored durably before the response, and takes effect once.",
        lifespan=lifespan,
        routes=_routes(settings),
        docs_url=None,  # the reference replaces FastAPI's pages, which load scripts from elsewhere
        redoc_url=None,
        telemetry=_telemetry(tracing),
        redirect_slashes=False,  # a path with a wrong trailing slash gets a 404 problem
    )
    app.state.site = SITE_WITH_REFERENCE if settings.shows_reference else SITE
    problems.install(app)
    document.install(app)
    declared_access(app)  # fails unless every route declares a scope or is public
    app.add_middleware(
        Admission,
        buckets=buckets,
        max_in_flight=settings.max_in_flight,
        body_seconds=settings.request_timeout_seconds,
        metrics=metrics,
        release=settings.commit,
    )
    app.add_middleware(
        RequestContext,
        metrics=metrics,
        tracing=tracing,
        lifecycle=lifecycle,
        public_address=settings.public_address,
    )
    app.add_middleware(PageHeaders)  # the middleware added last is the outermost
    return app


def _routes(settings: ApiSettings) -> list[BaseRoute]:
    if not settings.shows_reference:
        return [*ROUTES]
    return [*ROUTES, *REFERENCE_ROUTES, *(LOCAL_ROUTES if settings.env is Environment.LOCAL else ())]


def _telemetry(tracing: Tracing) -> TelemetryConfig:
    """Return FastAPI's telemetry settings: spans if tracing is on. The service itself creates metrics and logs."""
    if tracing.provider is None:
        return {"tracing": False, "metrics": False, "logs": False}
    return {
        "tracer_provider": tracing.provider,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
        "exclude": lambda scope: scope.get("path") in OPERATIONAL,
    }


def _key_source(settings: ApiSettings, http: ClientSession) -> JwksClient:
    if settings.jwks_url:
        return JwksClient(settings.jwks_url, http)
    return JwksClient("", http, Discovery(issuer=settings.jwt_issuer, https_only=settings.keys_need_https))


def token_rules(settings: ApiSettings) -> TokenRules:
    return TokenRules(
        issuer=settings.jwt_issuer,
        audiences=settings.jwt_audience,
        audience_claim=settings.jwt_audience_claim,
        tenant_claim=settings.jwt_tenant_claim,
        customer_claim=settings.jwt_customer_claim,
        scope_claims=settings.jwt_scope_claims,
        scope_prefix=settings.jwt_scope_prefix,
    )


def _wire(
    settings: ApiSettings,
    adapters: Adapters,
    verifier: TokenVerifier,
    publisher: MessagePublisher,
    metrics: ApiMetrics,
    clock: Clock,
    lifecycle: Lifecycle,
    buckets: TenantBuckets,
    sender: WebhookSender | None,
) -> Services:
    cursors = CursorCodec([secret.get_secret_value() for secret in settings.cursor_secrets])
    events = EventService(adapters.event_reader, adapters.orders, cursors, buckets, on_unreadable=metrics.unreadable)
    streams = EventStreams(
        events,
        max_streams=settings.max_streams,
        max_per_tenant=settings.max_streams_per_tenant,
        on_refused=lambda limit: metrics.refused.labels(limit).inc(),
    )
    metrics.streams.set_function(lambda: len(streams))
    webhooks = None if sender is None else _webhooks(settings, adapters, sender, cursors, clock)
    return Services(
        orders=OrderService(
            adapters.orders,
            Catalogue(adapters.inventory),
            publisher,
            cursors,
            clock=clock,
            sweep_base=timedelta(seconds=settings.sweep_base_seconds),
            cancel_window=settings.cancel_window,
            accept_deadline=timedelta(seconds=settings.accept_deadline_seconds),
            stores_history=settings.stores_history,
            on_accepted=metrics.accepted.inc,
            on_ended=metrics.order_ended,
            on_unreadable=metrics.unreadable,
        ),
        tenant_orders=TenantOrderService(adapters.tenant_orders, cursors, on_unreadable=metrics.unreadable),
        events=events,
        event_streams=streams,
        products=ProductService(adapters.inventory, cursors, clock, on_unreadable=metrics.unreadable),
        webhooks=webhooks,
        webhook_deliveries=None
        if webhooks is None
        else DeliveryService(webhooks, adapters.endpoints, adapters.event_reader, cursors),
        tokens=verifier,
        readiness=Readiness(required={"dynamodb": adapters.orders.ping}, optional={"sqs": adapters.queue.ping}),
        lifecycle=lifecycle,
        metrics=metrics,
        home_elsewhere=settings.home_elsewhere,
    )


def _webhooks(
    settings: ApiSettings, adapters: Adapters, sender: WebhookSender, cursors: CursorCodec, clock: Clock
) -> WebhookService | None:
    box = settings.secret_box
    if box is None:
        return None
    return WebhookService(
        adapters.endpoints,
        adapters.event_reader,
        Challenges(sender, clock),
        box,
        cursors,
        clock,
        local_receivers=settings.webhook_local_receivers,
    )


def _sender(settings: ApiSettings) -> AbstractAsyncContextManager[WebhookSender | None]:
    if not settings.webhook_keys:
        return nullcontext()
    return open_sender(local_receivers=settings.webhook_local_receivers, seconds=CHALLENGE_SECONDS)


def run() -> None:
    settings = load_settings(ApiSettings)
    tracing = open_tracing("order-api", settings.commit)
    configure_logging(settings.log_level)
    # These signals end the process with 0 before uvicorn handles them, and when uvicorn raises them after its shutdown.
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: sys.exit(0))
    with listen(settings.host, settings.port) as listener:
        server = make_server(settings, create_app(settings, tracing=tracing))
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(STARTUP_FAILED)
