"""What every run says of itself."""

from tests import engines


def pytest_report_header() -> str:
    missing = engines.dynamodb_local_missing()
    return f"contract suite: skipped on DynamoDB Local, {missing}" if missing else "contract suite: on all engines"
