"""All benchmarks one after the other: each figure on a line, and with `--into FILE` between two marks of a document, too.

`make bench`, or `python -m tests.benchmarks.report --into docs/performance.md`. Errors: whatever a benchmark raises ends the
run with a traceback and status 1, the document untouched; no figure is ever too slow to be printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from tests.benchmarks import bench_fetch, bench_http, bench_library, bench_trials

BENCHMARKS: Final = (bench_library, bench_trials, bench_http, bench_fetch)
BEGIN: Final = "<!-- figures: python -m tests.benchmarks.report --into docs/performance.md -->"
END: Final = "<!-- end of figures -->"


def into(text: str, lines: list[str]) -> str:
    """The document with these lines between its marks; ValueError where it has none."""
    head, found, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return "\n".join([head + BEGIN, "```", *lines, "```", END]) + tail


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--into", type=Path, help="a document with the marks of the figures")
    chosen: Path | None = parser.parse_args().into
    text = chosen.read_text(encoding="utf-8") if chosen else ""
    if chosen:
        into(text, [])
    lines = []
    for benchmark in BENCHMARKS:
        for line in benchmark.figures():
            print(line, flush=True)
            lines.append(line)
    if chosen:
        chosen.write_text(into(text, lines), encoding="utf-8")


if __name__ == "__main__":
    main()
