"""The page that `assess --format html` writes, as it is read and printed: nothing is lost at any width, in any scheme."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cds_service.records.bundle import read_bundle
from cds_service.rendering.html import render_html
from cds_service.screening import Screener

VIGNETTES = files("cds_service.trials") / "nct02917681" / "vignettes"
SHOWN = ("AV-06", "AV-08", "AV-10")
A4_PX = 794


@cache
def html(vignette: str) -> str:
    bundle = json.loads((VIGNETTES / f"{vignette}.json").read_text(encoding="utf-8"))["bundle"]
    screener = Screener.load()
    return render_html(screener.screen(read_bundle(bundle), ["nct02917681"], date(2026, 6, 15)))


@pytest.fixture
def report(page: Page, tmp_path: Path) -> Callable[[str], Page]:
    """Opens the report of a vignette from a file, as a coordinator does."""

    def opened(vignette: str) -> Page:
        file = tmp_path / f"{vignette}.html"
        file.write_text(html(vignette), encoding="utf-8")
        page.goto(file.as_uri())
        return page

    return opened


def contrast(page: Page, selector: str) -> float:
    """The contrast of an element's text with the first background behind it (WCAG 2.1)."""
    ratio: Any = page.locator(selector).first.evaluate(
        """node => {
          const light = text => text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
          let behind = node;
          while (/rgba\\(.*, 0\\)/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
          const both = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor].map(light).sort();
          return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
        }"""
    )
    return float(ratio)


@pytest.mark.parametrize("vignette", SHOWN)
@pytest.mark.parametrize("width", [320, 360, 768, 1280, 1920])
def test_the_report_fits_its_width(report: Callable[[str], Page], vignette: str, width: int) -> None:
    page = report(vignette)
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    rows = [page.locator("table").nth(n).locator("tbody tr:not(.part)").count() for n in range(3)]
    assert rows == [3, 8, 16]
    expect(page.locator("tr:visible")).not_to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_schemes(report: Callable[[str], Page], scheme: Any) -> None:
    page = report("AV-10")
    page.emulate_media(color_scheme=scheme)
    for selector in (
        "h1",
        ".soft",
        ".banner strong",
        ".warning",
        ".contents a",
        ".pass .verdict",
        ".open .verdict",
        ".unconfirmed .verdict",
        ".part .why",
        ".evidence code",
        ".notes",
        ".questions .id",
        "dt",
        "dd",
    ):
        assert contrast(page, selector) >= 4.5, selector
    page = report("AV-06")
    page.emulate_media(color_scheme=scheme)
    assert contrast(page, ".fail .verdict") >= 4.5
    assert contrast(page, ".banner a") >= 4.5


def test_the_keyboard_leads_from_a_reason_to_its_row(report: Callable[[str], Page]) -> None:
    page = report("AV-06")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_contain_text("IN03")
    assert page.locator(":focus").evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("tr:target")).to_have_attribute("data-criterion", "IN03-AlsfrsR")
    expect(page.locator("tr:target")).to_be_in_viewport()
    expect(page.locator("nav.contents a")).to_have_count(6)


def test_a_screen_reader_finds_tables_and_words_at_every_width(report: Callable[[str], Page]) -> None:
    page = report("AV-08")
    page.set_viewport_size({"width": 360, "height": 800})
    expect(page.get_by_role("table")).to_have_count(3)
    expect(page.get_by_role("row").filter(has_text="IN02").get_by_role("rowheader")).to_contain_text(
        "El Escorial"
    )
    assert page.locator("tr[data-criterion=IN02-ElEscorial] td").last.inner_text().startswith("Unknown")


def test_paper_is_black_on_white_whole_and_ready_to_write_on(report: Callable[[str], Page]) -> None:
    page = report("AV-08")
    page.set_viewport_size({"width": A4_PX, "height": 1123})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= A4_PX
    assert page.locator("article").evaluate("node => getComputedStyle(node).color") == "rgb(0, 0, 0)"
    assert (
        page.locator("article").evaluate("node => getComputedStyle(node).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    for selector in (".banner", ".part", ".open .verdict"):
        drawn = page.locator(selector).first.evaluate("node => getComputedStyle(node).backgroundColor")
        assert drawn == "rgba(0, 0, 0, 0)", selector
    assert page.locator("tr").first.evaluate("node => getComputedStyle(node).breakInside") == "avoid"
    assert (
        page.locator("thead").first.evaluate("node => getComputedStyle(node).display") == "table-header-group"
    )
    expect(page.locator("nav.contents")).to_be_hidden()
    questions = page.locator(".questions li").count()
    assert questions > 10
    expect(page.locator(".questions .answer:visible")).to_have_count(questions)
    expect(page.locator(".signature")).to_be_visible()


def test_the_printout_has_a4_sheets_of_its_own_head(report: Callable[[str], Page]) -> None:
    pdf = report("AV-10").pdf(prefer_css_page_size=True)
    sizes = {
        (round(float(w)), round(float(h)))
        for w, h in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    }
    assert sizes == {(595, 842)}
    assert 3 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 8


def test_the_screen_shows_no_lines_to_write_on(report: Callable[[str], Page]) -> None:
    page = report("AV-08")
    expect(page.locator(".answer:visible")).to_have_count(0)
    expect(page.locator(".signature")).to_be_hidden()
