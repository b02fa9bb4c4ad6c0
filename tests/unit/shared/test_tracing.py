"""Traces: when they are enabled, parents of spans, and errors with their type only."""

import subprocess
import sys

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import attach, detach
from opentelemetry.sdk import environment_variables
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from aws_json_client import DYNAMODB, Key, ResponseError, SignedTransport, StaticCredentials, Transport
from aws_json_client.http import Request, Response
from order_shared.domain.order.messages import WorkMessage, message_of, parse_message
from order_shared.messaging.delivery import Delivery
from order_shared.messaging.publisher import Publisher
from order_shared.messaging.queue import ReceivedMessage
from order_shared.runtime.tracing import TRACEPARENT, is_tracing_enabled, open_tracing, trace_id_of
from order_shared.runtime.tracing.sampling import with_independent_draw
from order_shared.runtime.tracing.spans import PROPAGATOR, SpanTracing
from tests.factories import make_order
from tests.fakes import MemoryQueue
from tests.traces import Traces

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
KNOWN_TO_THE_SDK = sorted(
    value for value in vars(environment_variables).values() if isinstance(value, str) and value.startswith("OTEL_")
)
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.fixture
def traces() -> Traces:
    return Traces()


def ids(span: ReadableSpan) -> tuple[str, str | None]:
    """Return the trace id and the id of the parent span."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}", span.parent and f"{span.parent.span_id:016x}"


def span_id(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def delivery_of(event: WorkMessage) -> Delivery:
    return Delivery(
        ReceivedMessage(message_id="message-1", receipt="receipt-1", body=event.to_json(), receive_count=2, sent_at=0),
        held_until=0,
    )


async def sent_by(tracing: SpanTracing, queue: MemoryQueue, traceparent: str | None) -> WorkMessage:
    """Return the event as it is on the queue."""
    await tracing.publisher(Publisher(queue)).send(message_of(make_order(traceparent=traceparent)))
    return parse_message(queue.messages[-1].message.body)


class TestWhenThereAreAny:
    @pytest.mark.parametrize(
        ("environment", "wanted"),
        [
            ({}, False),
            (ENDPOINT, True),
            ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
            ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, False),
            ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
            ({"OTEL_TRACES_EXPORTER": "otlp"}, False),
            ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ],
    )
    def test_the_environment_enables_tracing(self, environment: dict[str, str], wanted: bool) -> None:  # noqa: FBT001 - a case
        assert is_tracing_enabled(environment) is wanted

    @pytest.mark.parametrize(
        ("name", "value"), [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
    )
    def test_an_unsupported_exporter_or_protocol_ends_the_process_at_start(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for key, said in {**ENDPOINT, name: value}.items():
            monkeypatch.setenv(key, said)
        with pytest.raises(SystemExit, match=name):
            open_tracing("order-api", "abc1234")

    def test_a_queue_that_is_smaller_than_a_batch_ends_the_process_at_start(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for key, said in {**ENDPOINT, "OTEL_BSP_MAX_QUEUE_SIZE": "100"}.items():
            monkeypatch.setenv(key, said)
        with pytest.raises(SystemExit) as ended:
            open_tracing("order-api", "abc1234")
        told = "must be at least OTEL_BSP_MAX_EXPORT_BATCH_SIZE, which is 512, such as 2048"
        assert str(ended.value) == f"invalid configuration:\n  OTEL_BSP_MAX_QUEUE_SIZE: {told}"

    @pytest.mark.parametrize("value", ["nosuch", "-1", "inf", "1_0", ""])
    @pytest.mark.parametrize("name", KNOWN_TO_THE_SDK)
    async def test_no_variable_of_the_sdk_ends_the_process_with_a_traceback(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for key, said in {**ENDPOINT, name: value}.items():
            monkeypatch.setenv(key, said)
        told = ""
        try:
            await open_tracing("order-api", "abc1234").aclose()
        except SystemExit as ended:
            told = str(ended)
        assert not told or name in told or (name.endswith("_CREDENTIAL_PROVIDER") and "OTEL_…" in told)
        assert not told or value

    async def test_the_protocol_for_traces_overrides_the_general_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
        for key, value in {**ENDPOINT, **said}.items():
            monkeypatch.setenv(key, value)
        tracing = open_tracing("order-api", "abc1234")
        assert isinstance(tracing, SpanTracing)
        await tracing.aclose()

    def test_disabled_tracing_imports_no_opentelemetry(self) -> None:
        program = (
            "import sys, order_processor.main\n"
            "from order_shared.runtime.tracing import open_tracing\n"
            "assert open_tracing('order-processor', '1').provider is None\n"
            "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
        )
        subprocess.run([sys.executable, "-c", program], check=True, env={})


class TestTraceIds:
    @given(st.text("0123456789abcdef-g", max_size=60) | st.none())
    def test_only_a_valid_traceparent_has_a_trace_id(self, text: str | None) -> None:
        named = trace_id_of(text)
        assert (named is not None) is bool(text and TRACEPARENT.fullmatch(text))

    def test_the_trace_id_is_the_second_part(self) -> None:
        assert trace_id_of(CALLER) == TRACE_ID

    @pytest.mark.parametrize("bad", ["", CALLER.upper(), CALLER + "\n", CALLER.replace(TRACE_ID, "0" * 32)])
    def test_an_invalid_traceparent_has_no_trace_id(self, bad: str) -> None:
        assert trace_id_of(bad) is None


class TestMessages:
    async def test_a_message_has_the_traceparent_of_its_sending(self, traces: Traces) -> None:
        event = await sent_by(traces.tracing, MemoryQueue(), CALLER)
        sending = traces.spans["send order.processing_requested.v1"]
        assert event.traceparent == f"00-{TRACE_ID}-{span_id(sending)}-01"
        assert (sending.kind, ids(sending)) == (SpanKind.PRODUCER, (TRACE_ID, "00f067aa0ba902b7"))

    async def test_a_message_sent_within_a_request_belongs_to_its_trace(self, traces: Traces) -> None:
        with traces.tracing.client("request", {}):
            within = traces.tracing.traceparent()
            event = await sent_by(traces.tracing, MemoryQueue(), CALLER)
        assert trace_id_of(event.traceparent) == trace_id_of(within) != TRACE_ID

    async def test_the_handling_of_a_message_is_a_child_of_its_sending(self, traces: Traces) -> None:
        event = await sent_by(traces.tracing, MemoryQueue(), CALLER)
        with traces.tracing.handling(event, delivery_of(event)):
            pass
        handling = traces.spans["process order.processing_requested.v1"]
        assert (handling.kind, ids(handling)) == (
            SpanKind.CONSUMER,
            (TRACE_ID, span_id(traces.spans["send order.processing_requested.v1"])),
        )
        assert handling.attributes is not None
        assert (handling.attributes["order.id"], handling.attributes["messaging.aws_sqs.receive_count"]) == (
            event.subject,
            2,
        )

    async def test_a_message_has_no_tracestate(self, traces: Traces) -> None:
        context = PROPAGATOR.extract({"traceparent": CALLER, "tracestate": "vendor=1"})
        attached = attach(context)
        event = await sent_by(traces.tracing, MemoryQueue(), None)
        detach(attached)
        assert trace_id_of(event.traceparent) == TRACE_ID
        assert "vendor" not in event.to_json()

    @pytest.mark.parametrize("traceparent", [None, "rubbish"])
    async def test_a_message_without_a_trace_starts_one(self, traces: Traces, traceparent: str | None) -> None:
        event = await sent_by(traces.tracing, MemoryQueue(), traceparent)
        _, parent = ids(traces.spans["send order.processing_requested.v1"])
        assert trace_id_of(event.traceparent) is not None
        assert parent is None

    async def test_a_message_that_sqs_did_not_accept_is_an_error(self, traces: Traces) -> None:
        queue = MemoryQueue(refuse_next=1)
        publisher = traces.tracing.publisher(Publisher(queue))
        assert await publisher.send(message_of(make_order())) is False
        sending = traces.spans["send order.processing_requested.v1"]
        assert sending.status.status_code is StatusCode.ERROR

    async def test_a_trace_that_is_not_sampled_stays_unsampled(self, traces: Traces) -> None:
        event = await sent_by(traces.tracing, MemoryQueue(), CALLER[:-1] + "0")
        assert event.traceparent is not None
        assert event.traceparent.endswith("-00")
        assert traces.spans == {}


class TestTheShare:
    """Callers choose trace ids: one that every ratio samples, and one that none does."""

    CALLERS = (f"00-{'a' * 16}{'0' * 16}-00f067aa0ba902b7-00", f"00-{'a' * 16}{'f' * 16}-00f067aa0ba902b7-01")

    def kept(self, sampler: Sampler, caller: str, *, requests: int) -> int:
        """Return how many of the caller's requests are sampled. A request and its child span are sampled together."""
        provider = TracerProvider(sampler=with_independent_draw(sampler))
        tracer = provider.get_tracer("tests")
        kept = 0
        for _ in range(requests):
            context = PROPAGATOR.extract({"traceparent": caller})
            with tracer.start_as_current_span("request", context=context) as request:
                within = tracer.start_span("within")
                assert request.is_recording() is within.is_recording()
                kept += request.is_recording()
        return kept

    @pytest.mark.parametrize("caller", CALLERS, ids=["lowest", "highest"])
    def test_callers_cannot_influence_the_sampling(self, caller: str) -> None:
        assert 0 < self.kept(TraceIdRatioBased(0.5), caller, requests=200) < 200
        assert self.kept(TraceIdRatioBased(0.0), caller, requests=20) == 0
        assert self.kept(TraceIdRatioBased(1.0), caller, requests=20) == 20

    def test_other_samplers_are_unchanged(self) -> None:
        assert with_independent_draw(DEFAULT_ON) is DEFAULT_ON

    async def test_the_environments_ratio_is_sampled_independently(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The ratio is 10^-12, which would still sample an id of zeros."""
        for key, value in {
            **ENDPOINT,
            "OTEL_TRACES_SAMPLER": "traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "1e-12",
        }.items():
            monkeypatch.setenv(key, value)
        tracing = open_tracing("order-api", "abc1234")
        assert isinstance(tracing, SpanTracing)
        attached = attach(PROPAGATOR.extract({"traceparent": self.CALLERS[0]}))
        with tracing.client("request", {}) as span:
            assert not span.is_recording()
        detach(attached)
        await tracing.aclose()


class TestErrors:
    async def test_a_span_has_the_type_of_an_error_and_not_its_text(self, traces: Traces) -> None:
        event = message_of(make_order())
        with pytest.raises(ValueError, match="a-secret"), traces.tracing.handling(event, delivery_of(event)):
            raise ValueError("a-secret")
        span = traces.spans["process order.processing_requested.v1"]
        assert span.status.status_code is StatusCode.ERROR
        assert "ValueError" in span.to_json()
        assert "a-secret" not in span.to_json()


class TestRequestsToAws:
    def service(self, tracing: SpanTracing, status: int, body: object) -> Transport:
        async def send(_: Request) -> Response:
            return Response(status, orjson.dumps(body), {b"x-amzn-requestid": b"REQUEST-1"})

        credentials = StaticCredentials(Key("a", "b"))
        return tracing.transport(SignedTransport(DYNAMODB, send, credentials, region="eu-central-1", host="aws.test"))

    async def test_each_request_to_aws_is_a_child_span(self, traces: Traces) -> None:
        with traces.tracing.client("order", {}):
            await self.service(traces.tracing, 200, {}).call("GetItem", {"Key": {"S": "grace"}})
        call = traces.spans["dynamodb.GetItem"]
        assert (call.kind, ids(call)[1]) == (SpanKind.CLIENT, span_id(traces.spans["order"]))
        assert "grace" not in call.to_json()

    async def test_a_request_outside_a_trace_has_no_span(self, traces: Traces) -> None:
        await self.service(traces.tracing, 200, {}).call("Query", {})
        assert traces.spans == {}

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ({"__type": "com.amazonaws.dynamodb#TransactionCanceledException"}, "TransactionCanceledException"),
            ([], "400"),
        ],
    )
    async def test_an_error_has_the_code_of_aws(self, traces: Traces, body: object, kind: str) -> None:
        with traces.tracing.client("order", {}), pytest.raises(ResponseError):
            await self.service(traces.tracing, 400, body).call("TransactWriteItems", {})
        call = traces.spans["dynamodb.TransactWriteItems"]
        assert call.attributes is not None
        assert (call.status.status_code, call.attributes["error.type"]) == (StatusCode.ERROR, kind)
        assert (call.attributes["http.response.status_code"], call.attributes["aws.request_id"]) == (400, "REQUEST-1")
