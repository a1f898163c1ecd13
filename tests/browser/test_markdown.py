"""The card's Markdown, as the browser builds it: the common syntax is drawn, nothing becomes markup or a script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

_RENDER = """async (text) => {
  const { markdown } = await import("/sandbox/static/markdown.js");
  const box = document.createElement("div");
  box.append(...markdown(text));
  return box.innerHTML;
}"""
LINK = 'target="_blank" rel="noopener noreferrer"'


@pytest.fixture(scope="module")
def drawn(browser, static_url):  # type: ignore[no-untyped-def]
    """A page on which Markdown can be drawn."""
    page = browser.new_page()
    page.goto(f"{static_url}/sandbox/static/icon.svg")
    page.goto(f"{static_url}/sandbox/config.json")
    yield page
    page.close()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "<p>plain</p>"),
        ("one\n\ntwo", "<p>one</p><p>two</p>"),
        ("**bold** and *em* and _em_", "<p><strong>bold</strong> and <em>em</em> and <em>em</em></p>"),
        ("__bold__ and ~~gone~~", "<p><strong>bold</strong> and <del>gone</del></p>"),
        ("**bold *both***", "<p><strong>bold <em>both</em></strong></p>"),
        ("snake_case_name", "<p>snake_case_name</p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        ("a `code <b>` b", "<p>a <code>code &lt;b&gt;</code> b</p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("- a\n  - b\n- c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
        ("- a\n\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("text\n- a", "<p>text</p><ul><li>a</li></ul>"),
        ("## Why", "<h5>Why</h5>"),
        ("> quoted", "<blockquote><p>quoted</p></blockquote>"),
        ("---", "<hr>"),
        ("```\na < b\n```", "<pre><code>a &lt; b</code></pre>"),
        ("a  \nb", "<p>a<br>b</p>"),
        ("[x](https://a.example/b_c)", f'<p><a href="https://a.example/b_c" {LINK}>x</a></p>'),
        ("https://a.example/b.", f'<p><a href="https://a.example/b" {LINK}>https://a.example/b</a>.</p>'),
        (
            "| a |\n|---|\n| 1 |",
            '<table><thead><tr><th scope="col">a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>',
        ),
        (r"\*not em\* \<b\> \[x\](y)", "<p>*not em* &lt;b&gt; [x](y)</p>"),
        ("&lt;b&gt; &amp; &#42; &#x2a; &nope;", "<p>&lt;b&gt; &amp; * * &amp;nope;</p>"),
        ("≥ 30 — São Paulo", "<p>≥ 30 — São Paulo</p>"),
    ],
)  # fmt: skip
def test_common_syntax(drawn: Page, text: str, html: str) -> None:
    assert drawn.evaluate(_RENDER, text) == html


@pytest.mark.parametrize(
    "text",
    [
        "<script>window.hit = 1</script>",
        "<img src=x onerror='window.hit = 1'>",
        "[x](javascript:window.hit=1)",
        "[x](JaVaScRiPt:window.hit=1)",
        "[x](data:text/html,<script>window.hit=1</script>)",
        "![x](https://tracker.example/pixel.png)",
        "<javascript:window.hit=1>",
        "&lt;img src=x onerror=window.hit=1&gt;",
        '[x](https://a.example/"onmouseover=window.hit=1)',
        "`<svg onload=window.hit=1>`",
        "<iframe src='https://x.example'></iframe>",
    ],
)
def test_nothing_becomes_markup_or_runs(drawn: Page, text: str) -> None:
    html = drawn.evaluate(_RENDER, text)
    found = drawn.evaluate(
        """(html) => {
          const box = new DOMParser().parseFromString(html, "text/html").body;
          const all = [...box.querySelectorAll("*")];
          return {
            tags: all.map((node) => node.localName),
            events: all.flatMap((node) => [...node.attributes].map((a) => a.name)).filter((n) => n.startsWith("on")),
            links: all.filter((node) => node.href).map((node) => new URL(node.href).protocol),
            hit: window.hit ?? null,
          };
        }""",
        html,
    )
    assert not {"script", "img", "svg", "iframe"} & set(found["tags"])
    assert found["events"] == []
    assert set(found["links"]) <= {"https:", "http:", "mailto:"}
    assert found["hit"] is None


def test_hostile_nesting_and_length_end_quickly(drawn: Page) -> None:
    for text in (">" * 5_000 + " x", "*" * 3_000, "[" * 3_000, "- " * 2_000, "`" * 3_001, "a **b " * 500):
        seconds = drawn.evaluate(
            "async (text) => { const { markdown } = await import('/sandbox/static/markdown.js');"
            " const start = performance.now(); markdown(text); return (performance.now() - start) / 1000; }",
            text,
        )
        assert seconds < 2, text[:5]
