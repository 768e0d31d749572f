"""The report in headless Chromium, clicked through as a person does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .explained_runs import hostile_run, sample_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield started
        started.close()


@contextmanager
def opened(browser: Any, run: Path, **options: Any) -> Iterator[Any]:
    """Open a run's report; it asks for nothing but itself, and no error is logged."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.goto(f"file://{run}/report.html")
    yield page
    assert asked == [f"file://{run}/report.html"] and not errors
    context.close()


def kept(figure: Any) -> int:
    """Return how many documents a histogram says would be kept."""
    words = figure.locator("output").inner_text().split()
    return int(words[words.index("kept") - 1].replace(",", ""))


def test_moving_a_slider_by_keys_says_what_would_be_kept(browser: Any) -> None:
    """Stricter keeps fewer, looser keeps more, and one key press leads back."""
    with opened(browser, sample_run()) as page:
        figure = page.locator("figure", has_text="min_words: at least 50")
        slider, back = figure.locator("input"), figure.locator("button")
        before = kept(figure)
        assert before == 96 and back.is_hidden()
        slider.focus()
        for _ in range(30):
            page.keyboard.press("ArrowRight")
        assert kept(figure) < before and "(−" in figure.locator("output").inner_text()
        line = figure.locator("line.now")
        assert float(line.get_attribute("x1")) > float(
            figure.locator("line.was").get_attribute("x1")
        )
        page.keyboard.press("Home")
        assert kept(figure) > before
        back.focus()
        page.keyboard.press("Enter")
        assert kept(figure) == before and back.is_hidden()


def test_samples_open_by_keys_and_show_marked_lines(browser: Any) -> None:
    """Each reason's pages can be read in the report."""
    with opened(browser, sample_run()) as page:
        page.get_by_role("link", name="Samples").click()
        reason = page.locator("details", has_text="gopher_repetition/duplicate_line_ratio").first
        assert not reason.locator("pre").first.is_visible()
        reason.locator("summary").focus()
        page.keyboard.press("Enter")
        assert reason.locator("pre").first.is_visible()
        assert reason.locator("mark").count() > 3


def test_no_page_can_act_in_the_report(browser: Any) -> None:
    """Scripts, handlers and broken tags in crawled text are text."""
    with opened(browser, hostile_run()) as page:
        for summary in page.locator("summary").all():
            summary.click()
        assert page.title() == "pages: what became of the records"
        assert page.locator("img, main script").count() == 0
        assert (
            "<script>document.title = 'owned'</script>" in page.locator("#samples").text_content()
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_reads_well_in_light_and_dark(browser: Any, scheme: str) -> None:
    """Text and its background differ enough (WCAG 2, 4.5 to 1)."""
    script = """() => [...document.querySelectorAll('p, td, small, figcaption span, nav a')]
        .slice(0, 200).map((e) => [getComputedStyle(e).color,
        getComputedStyle(document.body).backgroundColor])"""
    with opened(browser, sample_run(), color_scheme=scheme) as page:
        for pair in {tuple(pair) for pair in page.evaluate(script)}:
            first, second = sorted(map(luminance, pair))
            assert (second + 0.05) / (first + 0.05) >= 4.5, pair


def luminance(color: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in color[4:-1].split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_report_fits_a_phone(browser: Any) -> None:
    """Nothing makes the page wider than 400 pixels, and sliders can be touched."""
    options = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
    for run in (sample_run(), hostile_run()):
        with opened(browser, run, **options) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
            slider = page.locator("figure input").first
            slider.scroll_into_view_if_needed()
            assert slider.bounding_box()["height"] >= 24


def test_the_report_is_complete_without_scripts(browser: Any) -> None:
    """Histograms, samples and tables are there; only sliders are not."""
    with opened(browser, sample_run(), java_script_enabled=False) as page:
        assert page.locator("figure svg rect").count() > 100
        assert page.locator("figure input").first.is_hidden()
        assert page.locator("#funnel").is_visible()
