"""The page and the plot are what the committed figures make of them."""

from pathlib import Path

import pytest

from tests.bench.report import BEGIN, END, PAGE, PLOT, draw_latency, made, write_page
from tests.bench.results import LATEST, read, read_results
from tests.bench.soak import RESULT as SOAK

RUN_BENCH = "is not what the committed figures and goals make of it: run make bench"


def test_the_page_shows_the_committed_figures(tmp_path: Path) -> None:
    page = tmp_path / PAGE.name
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_page(made(read(LATEST), read(SOAK) if SOAK.exists() else None), page)
    assert PAGE.read_text(encoding="utf-8") == page.read_text(encoding="utf-8"), f"{PAGE} {RUN_BENCH}"


def test_the_plot_shows_the_committed_figures(tmp_path: Path) -> None:
    plot = tmp_path / PLOT.name
    draw_latency(read_results(read(LATEST))["latency"], plot)
    is_equal = plot.read_bytes() == PLOT.read_bytes()  # in a variable, so that pytest shows no megabyte of difference
    assert is_equal, f"{PLOT} {RUN_BENCH}"


def test_what_is_around_the_marks_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    for _ in range(2):
        write_page("new", page)
        assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n"])
def test_a_page_without_both_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="has no place for the tables"):
        write_page("new", page)
    assert page.read_text(encoding="utf-8") == text
