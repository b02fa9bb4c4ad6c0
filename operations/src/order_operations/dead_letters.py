"""Operations on dead letters: peek, redrive to the work queue, discard. Each call receives up to a limit of letters.

    receive (hidden from others) ─► selected? ─► record ─► send to the work queue ─► delete
                                       └─ no: stays hidden during the call, so that it is not received twice

A redriven letter is sent before it is deleted. A crash between the two never loses the message; it leaves a duplicate,
which the processor recognizes. When a call ends, also with an error, it makes every letter that was not deleted visible
again.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from order_operations.letters import DeadLetter, Outcome, QueueInfo, Refusals, Result, bulk_refusal, to_letter
from order_operations.pace import Pace
from order_operations.target import Target
from order_shared.aws.queue_depth import depth_request, to_depth
from order_shared.aws.sqs import GONE_CODES
from order_shared.domain.clock import Clock, utc_now
from order_shared.domain.errors import PlatformError
from order_shared.messaging.queue import MAX_BATCH, MAX_BATCH_BYTES

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

WAIT_SECONDS = 1  # even a short long poll queries all servers of SQS: an empty response means an empty queue
HIDDEN_SECONDS = 300
MAX_HIDDEN_SECONDS = 43_200  # SQS hard limit
SETTINGS_OF_QUEUES = "ORDER_ENV, ORDER_TABLE_PREFIX, ORDER_QUEUE_NAME and ORDER_DLQ_NAME"


class NoSuchQueue(PlatformError):
    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"there is no queue {name} in {where}; check {SETTINGS_OF_QUEUES}")


class QueueFailed(PlatformError):
    """SQS rejected a whole request, or was unreachable."""

    def __init__(self, request: str, error: Exception) -> None:
        code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
        super().__init__(f"SQS {request} failed: {code or error}")


def _nothing(_: object) -> None:
    """Ignore the argument; the default callback."""


@dataclass(eq=False)
class DeadLetters:
    """Operations on the dead letters of one environment. `warn` receives a message for each letter that stays hidden.

    Each method receives at most `limit` letters, and may raise NoSuchQueue or QueueFailed.
    """

    client: "SQSClient"
    _: KW_ONLY
    work_queue: str
    dead_letter_queue: str
    warn: Callable[[str], None] = _nothing
    wait_seconds: int = WAIT_SECONDS
    now: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _urls: dict[str, str] = field(default_factory=dict, init=False)

    def info(self) -> QueueInfo:
        """Return the URL and the depth of the dead-letter queue. Raises NoSuchQueue also if there is no work queue."""
        self._url(self.work_queue)
        url = self._url(self.dead_letter_queue)
        with _translated("get_queue_attributes"):
            depth = to_depth(self.client.get_queue_attributes(**depth_request(url)))
        return QueueInfo(url, depth.visible)

    def peek(self, limit: int) -> list[DeadLetter]:
        """Return up to `limit` letters, oldest first. The letters stay in the queue."""
        with self._holding() as held:
            letters = [letter for batch in self._receive(held, limit, HIDDEN_SECONDS) for letter in batch]
        return sorted(letters, key=lambda letter: letter.sent_at)

    def find(self, message_id: str, limit: int) -> DeadLetter | None:
        """Return the letter if it is among the first `limit` that SQS returns, otherwise None.

        The letter stays in the queue.
        """
        with self._holding() as held:
            for batch in self._receive(held, limit, HIDDEN_SECONDS):
                for letter in batch:
                    if letter.message_id == message_id:
                        return letter
        return None

    def redrive(
        self,
        select: Collection[str] | None,
        *,
        rate: float,
        limit: int,
        record: Callable[[Sequence[DeadLetter]], None],
        dry_run: bool = False,
        on_progress: Callable[[Outcome], None] = _nothing,
    ) -> list[Outcome]:
        """Move letters to the work queue, at most `rate` per second, and return the outcome of each.

        `select` contains the message ids of the letters to move. If it is None, all letters are moved, except
        unreadable ones and those that arrive during the call, which may have failed again after this redrive. `record`
        is called with each group of letters before the group is moved. A dry run moves and records nothing.
        """
        started = self.now()
        pace = Pace(rate, self.monotonic)

        def refuse(letters: Sequence[DeadLetter]) -> Refusals:
            if select is not None:
                return {}
            return {letter.message_id: reason for letter in letters if (reason := bulk_refusal(letter, started))}

        def move(letters: Sequence[DeadLetter]) -> Refusals:
            if (delay := pace.delay(len(letters))) > 0:
                self.sleep(delay)
            unsent = self._send(letters)
            undeleted = self._delete([letter for letter in letters if letter.message_id not in unsent])
            duplicates = {
                message_id: f"sent, but not deleted from the dead letters: {code}"
                for message_id, code in undeleted.items()
            }
            return {**{message_id: f"not sent: {code}" for message_id, code in unsent.items()}, **duplicates}

        return self._process(
            select,
            limit=limit,
            hidden=min(MAX_HIDDEN_SECONDS, HIDDEN_SECONDS + math.ceil(MAX_BATCH / rate)),
            burst=max(1, min(MAX_BATCH, int(rate))),
            refuse=refuse,
            refused=Result.SKIPPED,
            record=record,
            effect=move,
            dry_run=dry_run,
            on_progress=on_progress,
        )

    def discard(
        self,
        select: Collection[str],
        *,
        limit: int,
        record: Callable[[Sequence[DeadLetter]], None],
        refuse: Callable[[Sequence[DeadLetter]], Refusals] = lambda _: {},
        dry_run: bool = False,
        on_progress: Callable[[Outcome], None] = _nothing,
    ) -> list[Outcome]:
        """Delete the letters with the message ids `select`, except those that `refuse` returns.

        Return the outcome of each letter. `record` is called with each group of letters before the group is deleted. A
        dry run deletes and records nothing.
        """

        def delete(letters: Sequence[DeadLetter]) -> Refusals:
            return {message_id: f"not deleted: {code}" for message_id, code in self._delete(letters).items()}

        return self._process(
            select,
            limit=limit,
            hidden=HIDDEN_SECONDS,
            burst=MAX_BATCH,
            refuse=refuse,
            refused=Result.REFUSED,
            record=record,
            effect=delete,
            dry_run=dry_run,
            on_progress=on_progress,
        )

    def _process(
        self,
        select: Collection[str] | None,
        *,
        limit: int,
        hidden: int,
        burst: int,
        refuse: Callable[[Sequence[DeadLetter]], Refusals],
        refused: Result,
        record: Callable[[Sequence[DeadLetter]], None],
        effect: Callable[[Sequence[DeadLetter]], Refusals],
        dry_run: bool,
        on_progress: Callable[[Outcome], None],
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []

        def report(letter: DeadLetter, result: Result, detail: str = "") -> None:
            outcomes.append(Outcome(letter, result, detail))
            on_progress(outcomes[-1])

        with self._holding() as held:
            for batch in self._receive_selected(held, select, limit, hidden):
                refusals = refuse(batch)
                for letter in batch:
                    if letter.message_id in refusals:
                        report(letter, refused, refusals[letter.message_id])
                for letters in _chunks((each for each in batch if each.message_id not in refusals), burst):
                    if dry_run:
                        failures: Refusals = {}
                    else:
                        record(letters)
                        failures = effect(letters)
                    for letter in letters:
                        if letter.message_id in failures:
                            report(letter, Result.FAILED, failures[letter.message_id])
                        elif dry_run:
                            report(letter, Result.PLANNED)
                        else:
                            held.pop(letter.message_id, None)
                            report(letter, Result.DONE)
        return outcomes

    def _receive_selected(
        self, held: dict[str, DeadLetter], select: Collection[str] | None, limit: int, hidden: int
    ) -> Iterator[list[DeadLetter]]:
        """Yield batches of the letters with the ids `select`, until all are found; all letters if `select` is None."""
        if select is None:
            yield from self._receive(held, limit, hidden)
            return
        missing = set(select)
        for batch in self._receive(held, limit, hidden):
            if found := [letter for letter in batch if letter.message_id in missing]:
                missing -= {letter.message_id for letter in found}
                yield found
            if not missing:
                return

    @contextmanager
    def _holding(self) -> Iterator[dict[str, DeadLetter]]:
        """Yield an empty dictionary for received letters, by message id.

        At the end of the block, make the letters in the dictionary visible again.
        """
        held: dict[str, DeadLetter] = {}
        try:
            yield held
        finally:
            for letters in _chunks(list(held.values()), MAX_BATCH):
                self._unhide(letters)

    def _receive(self, held: dict[str, DeadLetter], limit: int, hidden: int) -> Iterator[list[DeadLetter]]:
        """Yield batches of letters until the queue is empty or `limit` letters were received, each letter once.

        Add the letters to `held`. They stay hidden for `hidden` seconds.
        """
        url = self._url(self.dead_letter_queue)
        seen: set[str] = set()
        while len(seen) < limit:
            with _translated("receive_message"):
                answer = self.client.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=min(MAX_BATCH, limit - len(seen)),
                    WaitTimeSeconds=self.wait_seconds,
                    VisibilityTimeout=hidden,
                    MessageAttributeNames=["All"],
                    MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                )
            letters = {letter.message_id: letter for letter in map(to_letter, answer.get("Messages", []))}
            held.update(letters)  # a letter that is received again, after its visibility timeout, has a new receipt
            if not letters:
                return
            new = [letter for message_id, letter in letters.items() if message_id not in seen]
            seen.update(letters)
            if new:
                yield new

    def _send(self, letters: Sequence[DeadLetter]) -> Refusals:
        url = self._url(self.work_queue)
        with _translated("send_message_batch"):
            answer = self.client.send_message_batch(
                QueueUrl=url,
                Entries=[{"Id": str(index), "MessageBody": letter.body} for index, letter in enumerate(letters)],
            )
        return _failures(letters, answer)

    def _delete(self, letters: Sequence[DeadLetter]) -> Refusals:
        """Delete letters and return the failures. A failed request is a failure of every letter, not an exception."""
        if not letters:
            return {}
        try:
            with _translated("delete_message_batch"):
                answer = self.client.delete_message_batch(
                    QueueUrl=self._url(self.dead_letter_queue),
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": letter.receipt} for index, letter in enumerate(letters)
                    ],
                )
        except QueueFailed as error:
            return {letter.message_id: str(error) for letter in letters}
        return _failures(letters, answer)

    def _unhide(self, letters: Sequence[DeadLetter]) -> None:
        try:
            with _translated("change_message_visibility_batch"):
                answer = self.client.change_message_visibility_batch(
                    QueueUrl=self._url(self.dead_letter_queue),
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                        for index, letter in enumerate(letters)
                    ],
                )
        except QueueFailed as error:
            failures: Refusals = {letter.message_id: str(error) for letter in letters}
        else:
            failures = _failures(letters, answer)
        for message_id, code in failures.items():
            if code not in GONE_CODES:  # such letters are already visible, or another consumer has them
                self.warn(f"{message_id} stays hidden for a few minutes: {code}")

    def _url(self, name: str) -> str:
        if name not in self._urls:
            try:
                with _translated("get_queue_url"):
                    self._urls[name] = self.client.get_queue_url(QueueName=name)["QueueUrl"]
            except QueueFailed as error:
                if isinstance(error.__cause__, self.client.exceptions.QueueDoesNotExist):
                    meta = self.client.meta
                    raise NoSuchQueue(name, f"{meta.region_name} at {meta.endpoint_url}") from error
                raise
        return self._urls[name]


@contextmanager
def open_dead_letters(target: Target, warn: Callable[[str], None] = _nothing) -> Iterator[DeadLetters]:
    """Open the dead letters of an environment until the end of the block. The connection is made at first use."""
    settings = target.settings
    client = target.client("sqs", settings.sqs_endpoint)
    try:
        yield DeadLetters(client, work_queue=settings.queue_name, dead_letter_queue=settings.dlq_name, warn=warn)
    finally:
        client.close()


@contextmanager
def _translated(request: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise QueueFailed(request, error) from error


def _failures(letters: Sequence[DeadLetter], answer: Any) -> Refusals:
    return {letters[int(entry["Id"])].message_id: entry["Code"] for entry in answer.get("Failed", [])}


def _chunks(letters: Iterable[DeadLetter], size: int) -> Iterator[list[DeadLetter]]:
    """Yield chunks of up to `size` letters that fit into one request (MAX_BATCH_BYTES)."""
    chunk: list[DeadLetter] = []
    room = MAX_BATCH_BYTES
    for letter in letters:
        needed = len(letter.body.encode())
        if chunk and (len(chunk) == size or needed > room):
            yield chunk
            chunk, room = [], MAX_BATCH_BYTES
        chunk.append(letter)
        room -= needed
    if chunk:
        yield chunk
