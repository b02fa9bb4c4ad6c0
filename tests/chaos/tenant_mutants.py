"""Takes the tenant, and then the customer, out of each key and check in turn; the isolation suite must fail for each.

Each mutant replaces text that stands exactly once in its file, so that the table cannot rot unnoticed: a change of the
sources that touches a key stops the run until the table follows. Each is a copy of the sources, as in `mutants.py`.

    killed    a test failed
    survived  all tests passed: a test is missing, or the key needs less than it has
    error     the tests could not be run, or not to their end, which shows nothing: no key that lacks a part makes
              anything wait, so a time-out tells of a busy machine

Exit codes: 0 all were killed, 1 some were not, 2 the tests fail without any mutant, or it was asked for wrongly,
130 interrupted.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.mutants import (
    ROOT,
    Mutant,
    Outcome,
    Result,
    console,
    copied_sources,
    foreign_packages,
    report,
    source_folders,
    verdict,
)

TESTS = ("tests/unit/api/test_isolation.py", "tests/integration/test_isolation.py")
TIMEOUT_SECONDS = 600.0

SHARED = Path("shared/src/order_shared")
API = Path("services/order-api/src/order_api")


class TenantMutant(Mutant):
    """`condition` says what is taken out of what."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.condition}"


@dataclass(frozen=True, slots=True)
class Removal:
    """`edits` are pairs of what stands in the file, once, and what is put in its place; in the order of the file."""

    path: Path
    what: str
    edits: tuple[tuple[str, str], ...]

    def mutant(self, root: Path) -> TenantMutant:
        """The one span of the file that holds all edits; raises ValueError if it is not as the table says."""
        source = (root / self.path).read_text(encoding="utf-8")
        for old, _ in self.edits:
            if source.count(old) != 1:
                raise ValueError(f"{self.path} has {old!r} {source.count(old)} times, not once: {self.what}")
        start = source.index(self.edits[0][0])
        end = source.index(self.edits[-1][0]) + len(self.edits[-1][0])
        replacement = source[start:end]
        for old, new in self.edits:
            replacement = replacement.replace(old, new)
        begin, line = len(source[:start].encode()), source.count("\n", 0, start) + 1
        return TenantMutant(self.path, line, begin, len(source[:end].encode()), self.what, replacement)


def removal(path: Path, what: str, *edits: tuple[str, str]) -> Removal:
    return Removal(path, what, edits)


REMOVALS = (
    removal(
        SHARED / "order/models.py",
        "tenant out of the key of a customer",
        ('return f"{self.tenant}#{self.id}"', 'return f"-#{self.id}"'),
    ),
    removal(
        SHARED / "order/models.py",
        "customer out of the key of a customer",
        ('return f"{self.tenant}#{self.id}"', 'return f"{self.tenant}#-"'),
    ),
    removal(
        SHARED / "order/items.py",
        "tenant out of a customer read back",
        ("return Customer(tenant, customer)", 'return Customer("-", customer)'),
    ),
    removal(
        SHARED / "order/repository.py",
        "tenant out of the look-up by id",
        ("if owner is None or owner.tenant != tenant:", "if owner is None:"),
    ),
    removal(
        SHARED / "order/repository.py",
        "tenant out of the claim of a reference",
        (
            "claim_key(order.customer, ClaimKind.REFERENCE",
            'claim_key(Customer("-", order.customer.id), ClaimKind.REFERENCE',
        ),
    ),
    removal(
        SHARED / "order/repository.py",
        "customer out of the claim of a reference",
        (
            "claim_key(order.customer, ClaimKind.REFERENCE",
            'claim_key(Customer(order.customer.tenant, "-"), ClaimKind.REFERENCE',
        ),
    ),
    removal(
        SHARED / "idempotency.py",
        "tenant out of the key of every claim",
        ('return f"{customer.key}#{kind}', 'return f"{customer.id}#{kind}'),
    ),
    removal(
        SHARED / "idempotency.py",
        "customer out of the key of every claim",
        ('return f"{customer.key}#{kind}', 'return f"{customer.tenant}#{kind}'),
    ),
    removal(
        API / "order/service.py",
        "tenant out of the idempotency key of an order",
        ("claim_key(wanted.customer, ", 'claim_key(Customer("-", wanted.customer.id), '),
    ),
    removal(
        API / "order/service.py",
        "customer out of the idempotency key of an order",
        ("claim_key(wanted.customer, ", 'claim_key(Customer(wanted.customer.tenant, "-"), '),
    ),
    removal(
        API / "product/service.py",
        "tenant out of the idempotency key of a change of stock",
        ("claim_key(caller, ", 'claim_key(Customer("-", caller.id), '),
    ),
    removal(
        API / "product/service.py",
        "customer out of the idempotency key of a change of stock",
        ("claim_key(caller, ", 'claim_key(Customer(caller.tenant, "-"), '),
    ),
    removal(
        SHARED / "inventory/repository.py",
        "tenant out of the key of a product",
        ('return f"{tenant}#{sku}"', 'return f"-#{sku}"'),
    ),
    removal(
        SHARED / "inventory/repository.py",
        "tenant out of the key of stock",
        (
            '{"product_key": product_key(tenant, sku), "record": stock_record(shard)}',
            '{"product_key": product_key("-", sku), "record": stock_record(shard)}',
        ),
    ),
    removal(
        SHARED / "inventory/repository.py",
        "tenant out of the index of products",
        (
            'HashKey("tenant", tenant) & RangeKey("sku").gt(after) if after else HashKey("tenant", tenant)',
            'HashKey("tenant", "-") & RangeKey("sku").gt(after) if after else HashKey("tenant", "-")',
        ),
        ('F("tenant").set(product.tenant)', 'F("tenant").set("-")'),
    ),
    removal(
        API / "product/catalogue.py",
        "tenant out of the cache of prices",
        ("self._cache.get((tenant, sku)", 'self._cache.get(("-", sku)'),
        ("update({(tenant, sku):", 'update({("-", sku):'),
    ),
    removal(
        API / "order/listing.py",
        "tenant out of the cursor of orders",
        ('"customer": self.customer.key,', '"customer": self.customer.id,'),
    ),
    removal(
        API / "order/listing.py",
        "customer out of the cursor of orders",
        ('"customer": self.customer.key,', '"customer": self.customer.tenant,'),
    ),
    removal(
        API / "product/service.py",
        "tenant out of the cursor of products",
        ('{"list": "products", "tenant": tenant}', '{"list": "products"}'),
    ),
    removal(
        API / "order/service.py",
        "customer out of the reading of an order: for everybody as for staff",
        ("if ADMIN_SCOPE not in identity.scopes:", "if False:"),
    ),
    removal(
        API / "middleware.py",
        "tenant out of the rate limit",
        ("self._buckets.take(identity.customer.tenant)", 'self._buckets.take("-")'),
    ),
    removal(
        API / "auth.py",
        "tenant out of the identity",
        ("Customer(str(tenant), str(customer))", 'Customer("-", str(customer))'),
    ),
    removal(
        API / "auth.py",
        "customer out of the identity",
        ("Customer(str(tenant), str(customer))", 'Customer(str(tenant), "-")'),
    ),
    removal(
        API / "auth.py",
        "what separates tenant and customer, allowed in their names",
        ("or not NAME.fullmatch(value)", "or not value"),
    ),
)


def find_mutants(root: Path) -> list[TenantMutant]:
    """All of the table; raises ValueError if the sources under `root` are not as it says."""
    return [each.mutant(root) for each in REMOVALS]


def run_suite(copy: Path) -> tuple[int, str]:
    """The isolation suite over the copy in place of the installed packages; pytest's exit code and output.

    Raises subprocess.TimeoutExpired.
    """
    options = ("-x", "-q", "-p", "no:cacheprovider", f"--basetemp={copy / 'tmp'}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *TESTS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(copy / folder) for folder in source_folders(copy))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


def judge(root: Path, mutant: Mutant) -> Result:
    """Runs the suite over the mutant."""
    began = time.monotonic()
    with copied_sources(root, mutant) as copy:
        try:
            outcome, detail = verdict(*run_suite(copy))
        except subprocess.TimeoutExpired:
            outcome, detail = Outcome.ERROR, f"the suite takes more than {TIMEOUT_SECONDS:.0f} s"
    return Result(mutant, outcome, detail, time.monotonic() - began)


def judge_all(root: Path, mutants: Iterable[Mutant], jobs: int) -> Iterator[Result]:
    """As they end."""
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in as_completed([pool.submit(judge, root, mutant) for mutant in mutants]):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def failing_without_mutant(root: Path) -> str | None:
    """Why nothing can be shown: the suite fails anyway, or would not run over the copy. None if all is well."""
    with copied_sources(root) as copy:
        if foreign := foreign_packages(copy):
            return "imported from outside the copy: " + ", ".join(foreign)
        try:
            code, output = run_suite(copy)
        except subprocess.TimeoutExpired:
            return f"the suite takes more than {TIMEOUT_SECONDS:.0f} s"
    return output if code else None


def main() -> int:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.tenant_mutants",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    parser.add_argument("--only", metavar="TEXT", default="", help="those whose line in the list contains TEXT")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, choices=range(1, 17), help="how many at a time (2)")
    arguments = parser.parse_args()
    with copied_sources(ROOT) as snapshot:  # the working tree may change meanwhile
        try:
            mutants = [mutant for mutant in find_mutants(snapshot) if arguments.only in str(mutant)]
        except ValueError as error:
            parser.error(str(error))
        if not mutants:
            parser.error(f"no mutant contains {arguments.only!r}")
        if arguments.list:
            for mutant in mutants:
                console.print(str(mutant))
            return 0
        if reason := failing_without_mutant(snapshot):
            console.print(f"The suite must pass before anything is removed.\n{reason}")
            return 2
        results = []
        for result in judge_all(snapshot, mutants, arguments.jobs):
            console.print(str(result))
            results.append(result)
        return report(results)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
