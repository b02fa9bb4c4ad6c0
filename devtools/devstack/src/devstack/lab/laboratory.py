"""The Lab without its pages: an experiment, its figures, and the faults."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from botocore.exceptions import BotoCoreError, ClientError

from aws_json_client import RetryPolicy
from devstack.issuer import Issuer
from devstack.kept_data import DATA_FOLDER, KeptData
from devstack.lab.books import Books
from devstack.lab.experiment import Experiment
from devstack.lab.faults import SUSPENDED, Action, Faults
from devstack.lab.feed import Feed
from devstack.lab.figures import Checker, Figures
from devstack.lab.history import Payment
from devstack.lab.journal import Journal
from devstack.lab.shoppers import Shop
from devstack.lab.stack_file import StackFile
from devstack.lab.visitor import CUSTOMER, TENANT
from devstack.payments.books import FileBooks
from devstack.stack import ISSUER_KEY_FILE, REGION, local_credentials, local_session
from order_shared.aws.dynamodb import Dynamo, open_dynamo
from order_shared.domain.errors import StorageUnavailable
from order_shared.storage.event_log.repair import EventLogRepair
from order_shared.tables import TableNames

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = structlog.get_logger(__name__)

RETRIES = RetryPolicy(deadline=5, max_attempts=3)
PROBE_TIMEOUT = aiohttp.ClientTimeout(total=0.5)


@dataclass(frozen=True)
class LabState:
    """State of the page: the newest figures, if any, and the reason if they are not new."""

    figures: Figures | None
    problem: str = ""


class LocalBooks(Books):
    """Books that read the file of the payment sandbox, which can be suspended."""

    def __init__(
        self, dynamo: Dynamo, sqs: "SQSClient", prefix: str, http: aiohttp.ClientSession, payments: FileBooks
    ) -> None:
        super().__init__(dynamo, sqs, prefix, "", http)
        self._payments = payments

    async def payments(self, since: float = 0) -> list[Payment]:
        rows = (intent for intent in self._payments.intents() if intent.created >= since)
        return [
            Payment(
                order_id=intent.metadata["order_id"], received=intent.amount_received, refunded=intent.amount_refunded
            )
            for intent in rows
            if "order_id" in intent.metadata
        ]


class Laboratory:
    def __init__(
        self, stack: StackFile, issuer: Issuer, journal: Journal, checker: Checker, http: aiohttp.ClientSession
    ) -> None:
        self.stack = stack
        self.faults = Faults(stack, checker.books)
        self.feed: Feed[LabState] = Feed(self._look)
        self._issuer = issuer
        self._journal = journal
        self._checker = checker
        self._http = http
        self.experiment = Experiment.opened(journal, self._shop)
        self._figures: Figures | None = None

    def token(self) -> str:
        """Return a token for a person who tries the API."""
        return self._issuer.token(TENANT, CUSTOMER)

    def action(self, number: str) -> Action | None:
        """Return the action with this number."""
        actions = self.faults.actions
        is_known = number.isascii() and number.isdecimal() and int(number) < len(actions)
        return actions[int(number)] if is_known else None

    def place(self, count: int) -> int:
        """Let so many customers place orders; return the number of the action."""
        self.experiment.place(count)
        return self.faults.note(f"{count:,} customers are placing one order each")

    async def start_anew(self) -> int:
        """Forget the customers and their answers; return the number of the action."""
        await self.experiment.stop()
        self.experiment = Experiment.new(self._journal, self._shop)
        self._figures = None
        return self.faults.note("a new experiment was started")

    def _shop(self, tenant: str) -> Shop:
        return Shop(tenant, self._issuer, self._http, lambda: [self.stack.read()["api"]])

    async def _look(self) -> LabState:
        try:
            self._figures = await self._checker.figures(self.experiment, await self._services())
        except (StorageUnavailable, ClientError, BotoCoreError) as error:
            log.warning("figures_unavailable", error=repr(error))
            return LabState(self._figures, "The embedded AWS does not respond, so these figures are not new.")
        return LabState(self._figures)

    async def _services(self) -> Mapping[str, str]:
        """Return the state of each process."""
        content = self.stack.read()
        probes = {name: f"{address}/readyz" for name, address in content["services"].items()}
        states = await asyncio.gather(*map(self._is_ready, probes.values()))
        found = {name: "ready" if state else "starting" for name, state in zip(probes, states, strict=True)}
        for name, label in SUSPENDED.items():
            found[label] = "does not respond" if name in self.faults.suspended else "ready"
        return found

    async def _is_ready(self, url: str) -> bool:
        try:
            async with self._http.get(url, timeout=PROBE_TIMEOUT) as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False


@asynccontextmanager
async def open_laboratory(state: Path) -> AsyncIterator[Laboratory]:
    """Open the Lab of the stack that keeps its data in the folder `state`."""
    data = KeptData(state / DATA_FOLDER)
    stack = StackFile(state / "stack.json")
    content: Mapping[str, Any] = stack.read()
    prefix = content["table_prefix"]
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, proxy=None) as http,
        open_dynamo(local_credentials(), region=REGION, endpoint=content["aws"], retries=RETRIES) as dynamo,
    ):
        sqs = local_session().client("sqs", endpoint_url=content["aws"])
        books = LocalBooks(dynamo, sqs, prefix, http, FileBooks(data.payments))
        checker = Checker(books, EventLogRepair(dynamo, TableNames.with_prefix(prefix)))
        laboratory = Laboratory(stack, Issuer.at(state / ISSUER_KEY_FILE), Journal(data.lab), checker, http)
        laboratory.faults.resume_all()
        try:
            yield laboratory
        finally:
            await laboratory.experiment.stop()
            laboratory.faults.resume_all()
