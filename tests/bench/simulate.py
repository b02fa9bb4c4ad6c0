"""A flash sale on paper: backlog, tasks and time to confirm, second by second. `python -m tests.bench.simulate` draws
the plots of `docs/scale.md` and writes its tables.

    customers ─► waiting (refused, asking again) ─► API ─► queued ─► processor ─► confirmed

Orders are a fluid that keeps the second of its arrival; both stages take the oldest first. A refused customer asks
again under the same key until accepted, which is harsher than life. CPU is the only limit of a task: what DynamoDB
sets is in `docs/scale.md`.
"""

import math
import random
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from infra.prices import Prices
from tests.bench.limits import limit_table, load_table
from tests.bench.prices import OrderKind, capacity, cost_table, shard_table, table, task_hour

DOCUMENT = Path("docs/scale.md")
PICTURES = Path("docs/scale")
MINUTE = 60  # seconds; also the period of CloudWatch's metrics
IN_PERIODS = 15  # minutes below target before a target tracking policy takes tasks away
SCALE_IN_BELOW = 0.9  # of the target
RETRY_SECONDS = 5  # how often a refused customer asks again; the load balancer counts each time
WITHOUT_LOAD_SECONDS = 0.1
"""From POST to confirmed when nobody waits: two transactions, the linger of a batch, a long poll's answer."""


@dataclass(frozen=True, kw_only=True)
class Sale:
    """Orders a second: `base`; from `start` on `times` as many for `lasts` seconds; in each `decay` seconds after that
    the excess falls to a third."""

    base: float = 100.0
    times: float = 20.0
    start: int = 15 * MINUTE
    lasts: int = 10 * MINUTE
    decay: float = 3.0 * MINUTE

    def rate(self, second: int) -> float:
        if second < self.start:
            return self.base
        over = second - self.start - self.lasts
        return self.base * (1 + (self.times - 1) * (3.0 ** (-over / self.decay) if over > 0 else 1.0))


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How many tasks a service has: `least` to `most`, to keep its metric at `target` per task.

    A task takes `start_seconds` until it works. After a change the next one in the same direction waits for its
    cool-down. `planned` is a scheduled action: the least number between two seconds.
    """

    least: int = 2
    most: int = 20
    target: float = math.inf
    out_periods: int = 3
    out_cooldown: int = 60
    in_cooldown: int = 300
    start_seconds: int = 40
    planned: tuple[int, int, int] | None = None

    def least_at(self, second: int) -> int:
        if self.planned is not None and self.planned[0] <= second < self.planned[1]:
            return max(self.least, self.planned[2])
        return self.least

    def wanted(self, tasks: int, metric: Sequence[float]) -> int:
        """The number of tasks that a history of the metric per task asks for, a value a minute, the newest last."""
        recent = metric[-self.out_periods :]
        if len(recent) == self.out_periods and min(recent) > self.target:
            return min(self.most, math.ceil(tasks * recent[-1] / self.target))
        recent = metric[-IN_PERIODS:]
        if len(recent) == IN_PERIODS and max(recent) < SCALE_IN_BELOW * self.target < math.inf:
            return min(tasks, math.ceil(tasks * recent[-1] / self.target))
        return tasks


class Fleet:
    """The tasks of one service as they come and go; each carries `capacity` orders a second."""

    def __init__(self, scaling: Scaling, capacity: float) -> None:
        self.capacity = capacity
        self.running = scaling.least
        self._scaling = scaling
        self._starting: list[tuple[int, int]] = []
        self._metric: list[float] = []
        self._load = 0.0
        self._changed = {True: -math.inf, False: -math.inf}

    @property
    def desired(self) -> int:
        return self.running + sum(count for _, count in self._starting)

    def observe(self, second: int, load: float) -> None:
        """A second's load of the whole service; at the end of each minute, what follows from it."""
        self._load += load
        self.running += sum(count for ready_at, count in self._starting if ready_at <= second)
        self._starting = [each for each in self._starting if each[0] > second]
        least = self._scaling.least_at(second)
        if (second + 1) % MINUTE == 0:
            self._metric.append(self._load / MINUTE / self.running)
            self._load = 0.0
            self._change(second, max(least, self._scaling.wanted(self.running, self._metric)))
        self._start(second, least - self.desired)

    def _change(self, second: int, wanted: int) -> None:
        out = wanted > self.desired
        if second - self._changed[out] < (self._scaling.out_cooldown if out else self._scaling.in_cooldown):
            return
        if out:
            self._changed[out] = second
            self._start(second, wanted - self.desired)
        elif wanted < self.running and not self._starting:
            self._changed[out] = second
            self.running = wanted  # who is told to stop finishes what it has begun

    def _start(self, second: int, count: int) -> None:
        if count > 0:
            self._starting.append((second + self._scaling.start_seconds, count))


class Line:
    """Who waits, in the order of arrival."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, float]] = deque()
        self.length = 0.0

    def join(self, parts: Iterable[tuple[int, float]]) -> None:
        for arrived, count in parts:
            self._parts.append((arrived, count))
            self.length += count

    def take(self, most: float) -> list[tuple[int, float]]:
        """The oldest, up to `most` orders, with the seconds of their arrival."""
        taken = []
        while self._parts and most > 0:
            arrived, count = self._parts.popleft()
            if count > most:
                self._parts.appendleft((arrived, count - most))
                count = most
            taken.append((arrived, count))
            most -= count
        self.length = self.length - sum(count for _, count in taken) if self._parts else 0.0
        return taken


@dataclass
class Run:
    """What became of a sale, a value a second. `delays` has (arrived, seconds to confirm, orders)."""

    arrived: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    queued: list[float] = field(default_factory=list)
    confirmed: list[float] = field(default_factory=list)
    api_tasks: list[int] = field(default_factory=list)
    processor_tasks: list[int] = field(default_factory=list)
    delays: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def task_hours(self) -> float:
        return (sum(self.api_tasks) + sum(self.processor_tasks)) / 3600

    @property
    def seconds_behind(self) -> int:
        """In how many seconds somebody had to wait for a task."""
        return sum(waiting + queued > 0 for waiting, queued in zip(self.waiting, self.queued, strict=True))

    def percentile(self, share: float, start: int = 0, end: int = 2**31) -> float:
        """Seconds within which `share` of the orders that arrived from `start` to `end` were confirmed."""
        delays = sorted((delay, count) for arrived, delay, count in self.delays if start <= arrived < end)
        left = share * sum(count for _, count in delays)
        for delay, count in delays:
            left -= count
            if left <= 0:
                return delay
        return delays[-1][0] if delays else 0.0


def simulate(sale: Sale, api: Fleet, processor: Fleet, *, seconds: int, seed: int = 5) -> Run:
    """Ends with whoever is still waiting or queued counted as such: nobody is lost."""
    noise = random.Random(seed)  # noqa: S311 - the scatter of a model
    waiting, queue, run = Line(), Line(), Run()
    confirmed = 0.0
    for second in range(seconds):
        rate = sale.rate(second)
        arrived = max(0.0, noise.gauss(rate, math.sqrt(rate)))
        asking = arrived + waiting.length / RETRY_SECONDS
        waiting.join([(second, arrived)])
        queue.join(waiting.take(api.running * api.capacity))
        done = queue.take(processor.running * processor.capacity)
        run.delays += [(since, second - since + WITHOUT_LOAD_SECONDS, count) for since, count in done]
        confirmed += sum(count for _, count in done)
        run.arrived.append(arrived)
        run.waiting.append(waiting.length)
        run.queued.append(queue.length)
        run.confirmed.append(confirmed)
        run.api_tasks.append(api.desired)
        run.processor_tasks.append(processor.desired)
        api.observe(second, asking)
        processor.observe(second, queue.length)
    return run


SECONDS = 60 * MINUTE
STEP = 10  # seconds between two points of a plot
ACCEPTABLE_SECONDS = 5
"""The backlog per task that the processor is scaled to, as seconds of a task's work."""


def strategies(order: OrderKind, sale: Sale) -> Mapping[str, tuple[Fleet, Fleet]]:
    """The same sale met three ways. The API is scaled to six tenths of what a task can carry."""
    by_requests = Scaling(target=0.6 * capacity(order.api_cpu_ms))
    by_backlog = Scaling(target=ACCEPTABLE_SECONDS * capacity(order.processor_cpu_ms))

    def planned(scaling: Scaling, cpu_ms: float) -> Scaling:
        """Enough for the peak with a tenth to spare, from ten minutes before it until ten minutes after."""
        needed = math.ceil(1.1 * sale.base * sale.times / capacity(cpu_ms))
        span = (sale.start - 10 * MINUTE, sale.start + sale.lasts + 10 * MINUTE)
        return replace(scaling, planned=(*span, needed))

    def fleets(api: Scaling, processor: Scaling) -> tuple[Fleet, Fleet]:
        return Fleet(api, capacity(order.api_cpu_ms)), Fleet(processor, capacity(order.processor_cpu_ms))

    api, processor = planned(by_requests, order.api_cpu_ms), planned(by_backlog, order.processor_cpu_ms)
    return {
        "fixed, 4 and 5 tasks": fleets(Scaling(least=4), Scaling(least=5)),
        "autoscaling from 2 and 2": fleets(by_requests, by_backlog),
        "planned, then autoscaling": fleets(api, processor),
    }


def strategy_table(runs: Mapping[str, Run], sale: Sale, prices: Prices) -> str:
    """Percentiles are of those who came in the sale's worst ten minutes, its peak."""
    rows = [["fleet", "waiting at most", "queued at most", "p50, s", "p99, s", "behind, min", "task-hours", "USD"]]
    for name, run in runs.items():
        p50, p99 = (run.percentile(share, sale.start, sale.start + sale.lasts) for share in (0.5, 0.99))
        counts = [f"{max(run.waiting):,.0f}", f"{max(run.queued):,.0f}", f"{p50:.1f}", f"{p99:.1f}"]
        spent = [f"{run.task_hours:.1f}", f"{run.task_hours * task_hour(prices):.2f}"]
        rows.append([name, *counts, f"{run.seconds_behind / MINUTE:.0f}", *spent])
    return table(rows)


def draw_backlog(runs: Mapping[str, Run]) -> Figure:
    picture = Figure(figsize=(11, 5), layout="constrained")
    panels = picture.subplots(2, len(runs), sharex=True, sharey="row", squeeze=False)
    for column, (name, run) in enumerate(runs.items()):
        above, below = panels[:, column]
        minutes = [second / MINUTE for second in range(len(run.arrived))][::STEP]
        above.set_title(name)
        above.plot(minutes, [count / 1000 for count in run.waiting[::STEP]], label="refused, asking again")
        above.plot(minutes, [count / 1000 for count in run.queued[::STEP]], label="accepted, queued")
        below.step(minutes, run.api_tasks[::STEP], label="API")
        below.step(minutes, run.processor_tasks[::STEP], label="processor")
        below.set_xlabel("minutes")
    panels[0, 0].set_ylabel("thousand orders")
    panels[1, 0].set_ylabel("tasks")
    for row in panels:
        row[-1].legend(*row[0].get_legend_handles_labels(), loc="upper right")
        row[-1].set_ylim(bottom=0)
    return picture


def draw_delay(runs: Mapping[str, Run]) -> Figure:
    picture = Figure(figsize=(8, 4), layout="constrained")
    panel = picture.subplots()
    minutes = range(SECONDS // MINUTE)
    for number, (name, run) in enumerate(runs.items()):
        for share, style in ((0.5, ":"), (0.99, "-")):
            delays = [run.percentile(share, minute * MINUTE, (minute + 1) * MINUTE) for minute in minutes]
            panel.plot(minutes, delays, style, color=f"C{number}", label=f"{name}, p{share:.0%}".rstrip("%"))
    panel.set(yscale="log", xlabel="minute of arrival", ylabel="seconds to confirmed")
    panel.legend()
    return picture


def save(picture: Figure, path: Path) -> None:
    """The same bytes each time: no date, no random ids."""
    with rc_context({"svg.hashsalt": "order-platform", "svg.fonttype": "none"}):
        picture.savefig(path, metadata={"Date": None, "Creator": None})


def run_all() -> dict[str, Run]:
    """Return the sale as each of the strategies meets it."""
    sale = Sale()
    return {name: simulate(sale, *both, seconds=SECONDS) for name, both in strategies(OrderKind(), sale).items()}


def tables(runs: Mapping[str, Run]) -> list[str]:
    """Return every computed table of the document."""
    prices = Prices()
    return [
        cost_table(prices=prices),
        limit_table(),
        load_table(),
        strategy_table(runs, Sale(), prices),
        shard_table(),
    ]


def with_tables(text: str, computed: Sequence[str]) -> str:
    """Return the document with its computed tables written anew; each is found by its first row."""
    for each in computed:
        head = each.partition("\n")[0]
        before, found, rest = text.partition(f"\n{head}\n")
        if not found:
            raise LookupError(f"the document has no table that begins with {head}")
        _, end, after = rest.partition("\n\n")
        text = f"{before}\n{each}{end}{after}"
    return text


def main() -> None:
    runs = run_all()
    PICTURES.mkdir(parents=True, exist_ok=True)
    save(draw_backlog(runs), PICTURES / "backlog.svg")
    save(draw_delay(runs), PICTURES / "delay.svg")
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8"), tables(runs)), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT} and the plots in {PICTURES} are written\n")


if __name__ == "__main__":
    main()
