"""Why the two engines differ where they do: each deviation with the specification's sentence, and who follows it.

Two ways to show that a difference is such a deviation and nothing else:

- an **amendment** (`amendments.cjs`) changes the one operator of the reference to what the specification says; the difference is
  explained only if it is gone once the amendment is in force. So what the deviation leads to in other defines is explained with
  it, and nothing beside it;
- a **judgement** looks at one generated expression: at its operators and at both values.

Each has a case in `cases.py`: a tiny expression that shows both engines' values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Explanation:
    """One deviation. `section`: where in CQL 1.5.3 (or its ELM schema) the `sentence` stands; `right`: ours or the reference."""

    name: str
    section: str
    sentence: str
    right: str
    why: str


AMENDMENTS: Final = (
    Explanation(
        "flatten-null",
        "ELM, Flatten",
        "The Flatten operator flattens a list of lists into a single list.",
        "ours",
        "The reference gives its argument back as it is, a list of lists, when one of the lists is null.",
    ),
)
BY_NAME: Final = {explanation.name: explanation for explanation in AMENDMENTS}
