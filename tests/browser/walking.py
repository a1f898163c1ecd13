"""Moves on the demo page that several tests share, and what they measure on it."""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Locator, Page, expect

CANDIDATE: Final = "av-01-joao"
TOO_OLD: Final = "av-02-jose"
NO_ALS: Final = "av-11-rosa"

# Every visible text with its colour against what is painted behind it, by WCAG 2.2's relative luminance.
_CONTRASTS: Final = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a),
    g: top.g * top.a + under.g * (1 - top.a),
    b: top.b * top.a + under.b * (1 - top.a), a: 1,
  });
  const luminance = ({ r, g, b }) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map((v) => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? 0 : 255;
    return layers.reverse().reduce((under, top) => over(top, under), { r: canvas, g: canvas, b: canvas, a: 1 });
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const node = walker.currentNode.parentElement;
    const box = node.getBoundingClientRect();
    if (!text || !node.checkVisibility() || box.width < 2) continue;
    if (node.closest("noscript, .visually-hidden, .unseen")) continue;
    const behind = background(node);
    const front = over(parse(getComputedStyle(node).color), behind);
    const [low, high] = [luminance(front), luminance(behind)].sort((a, b) => a - b);
    const ratio = Math.round(((high + 0.05) / (low + 0.05)) * 100) / 100;
    found.push([ratio, text.slice(0, 40), node.className || node.localName]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""


def open_chart(page: Page, url: str, patient: str, tab: str = "chart") -> Locator:
    """Opens a patient's chart by its deep link and waits until the service has answered. Returns the cards."""
    page.goto(f"{url}/sandbox/#/patient/{patient}/{tab}")
    answered(page)
    return page.locator("#cards .card")


def answered(page: Page) -> None:
    """Waits until the last hook's answer is on the page."""
    expect(page.locator("#hook-status")).to_contain_text(" ms")


def summary(page: Page) -> str:
    """The summary of the first card."""
    return page.locator("#cards .card h3").first.inner_text()


def exchanges(page: Page) -> Locator:
    """The requests and responses that the page shows, newest first."""
    page.locator(".tabs a[data-tab=wire]").click()
    return page.locator("#panel .exchange")


def contrasts(page: Page) -> list[tuple[float, str, str]]:
    """(contrast ratio, text, where) of every visible text, worst first."""
    found: list[list[Any]] = page.evaluate(_CONTRASTS)
    return [(float(ratio), text, where) for ratio, text, where in found]


def overflow(page: Page) -> int:
    """By how many CSS pixels the page is wider than its window."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide
