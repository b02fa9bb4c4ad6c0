"""`make quick`: the tests of each changed file."""

import subprocess

from tests.quick import MOST, ROOT, TESTS, WHOLE_STACK, select


def test_every_path_and_every_test_of_the_table_exists() -> None:
    assert [start for start in TESTS if not (ROOT / start).exists()] == []
    assert [test for tests in TESTS.values() for test in tests if not (ROOT / test).exists()] == []


def test_every_source_file_has_tests() -> None:
    listed = subprocess.check_output(["git", "ls-files", "*/src/*.py", "infra/*.py"], cwd=ROOT, text=True).splitlines()
    assert listed
    assert [path for path in listed if not select([path])[0]] == []


def test_a_package_brings_its_tests_and_a_test_file_itself() -> None:
    changed = ["cli/src/orderctl/main.py", "tests/unit/cli/test_top_screen.py", "tests/unit/client/test_retries.py"]
    assert select(changed) == (["tests/unit/cli", "tests/unit/client/test_retries.py"], [])


def test_what_starts_the_whole_stack_is_named_only() -> None:
    assert select([f"{folder}test_one.py" for folder in WHOLE_STACK]) == (
        [],
        [f"{f}test_one.py" for f in WHOLE_STACK],
    )


def test_helpers_and_documents_without_tests_bring_none() -> None:
    assert select(["tests/fakes.py", "README.md"]) == ([], [])


def test_of_many_packages_those_with_the_most_files_are_tested() -> None:
    starts = ["shared/", "cli/", "operations/", "services/order-api/"]
    changed = [f"{start}{number}.py" for files, start in enumerate(starts, 1) for number in range(files)]
    wanted, left = select(changed)
    assert wanted == [test for start in reversed(starts[-MOST:]) for test in TESTS[start]]
    assert left == TESTS["shared/"]
