"""Pages of the local stack with figures of a stack that is not running."""

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import uvicorn

from devstack.issuer import Issuer
from devstack.lab.app import make_app
from devstack.lab.books import Books
from devstack.lab.experiment import Experiment
from devstack.lab.figures import Checker, Figures
from devstack.lab.journal import Journal
from devstack.lab.laboratory import RETRIES, Laboratory
from devstack.lab.stack_file import StackFile
from devstack.stack import local_credentials, local_session
from order_shared.aws.dynamodb import open_dynamo
from order_shared.domain.clock import utc_now
from order_shared.runtime.sockets import bind
from order_shared.storage.event_log.repair import EventLogRepair
from order_shared.tables import TableNames
from tests.serving import running_server

NOWHERE = "http://127.0.0.1:9"
STACK = {
    "api": "http://127.0.0.1:8000",
    "services": {"order-api": "http://127.0.0.1:8000", "order-processor": "http://127.0.0.1:8081"},
    "aws": "http://127.0.0.1:4566",
    "payments": "http://127.0.0.1:8082",
    "token_url": "http://127.0.0.1:8083/token",
    "pids": {},
}


class FixedFigures(Checker):
    """Checker of an experiment with contradictions, whose figures differ only in their time."""

    async def figures(self, experiment: Experiment, services: Mapping[str, str]) -> Figures:  # noqa: ARG002 - as the real one
        return Figures(
            at=utc_now(),
            wanted=500 + len(experiment.history.purchases),
            accepted=500,
            ended=480,
            lost=1,
            letters=2,
            details=("lost: c17 received the id ord_019aa5c2b1e07a1b8f3c5d7e9f012345, which is not stored",),
            services={"order-api": "ready", "order-processor": "starting", "SQS": "does not respond"},
        )


@asynccontextmanager
async def open_local_pages() -> AsyncIterator[str]:
    """Serve the pages; yield their address."""
    with tempfile.TemporaryDirectory() as folder, bind("127.0.0.1", 0) as listener:
        stack = StackFile(Path(folder) / "stack.json")
        stack.path.write_text(json.dumps(STACK))
        port = listener.getsockname()[1]
        async with (
            aiohttp.ClientSession() as http,
            open_dynamo(local_credentials(), region="eu-central-1", endpoint=NOWHERE, retries=RETRIES) as dynamo,
        ):
            books = Books(dynamo, local_session().client("sqs", endpoint_url=NOWHERE), "local-", NOWHERE, http)
            checker = FixedFigures(books, EventLogRepair(dynamo, TableNames.with_prefix("local-")))
            issuer = Issuer.at(Path(folder) / "issuer.pem")
            laboratory = Laboratory(stack, issuer, Journal(Path(folder) / "lab.jsonl"), checker, http)
            laboratory.faults.note("order-processor was killed (process 4711)")
            app = make_app(laboratory, port=port)
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
            try:
                async with running_server(server, listener):
                    yield f"http://127.0.0.1:{port}"
            finally:
                await laboratory.experiment.stop()
