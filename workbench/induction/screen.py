"""Which freshly written criteria are not worth asking a judge about."""

from collections.abc import Iterable, Iterator

from workbench.rubrics.lint import lint_text, repeated, stems

UNUSABLE = ("vague", "comparative", "not observable", "too long")
"""What lint finds that no judge can use: there is nothing to look for in one image, or too much."""
FEWEST_WORDS = 2
MOST_SHARED = 1
"""A criterion that shares more words with its example's prompt is about that example."""


def screen(text: str, prompt: str) -> str:
    """Why a criterion written for an example with this prompt cannot be used on others; empty where it can.

    >>> screen("The red fox has four legs.", "a red fox in snow")
    'about this prompt'
    """
    if text.isascii() and len(text.split()) < FEWEST_WORDS:
        return "too short"
    if unusable := [finding.kind for finding in lint_text(text) if finding.kind in UNUSABLE]:
        return unusable[0]
    return "about this prompt" if len(stems(text) & stems(prompt)) > MOST_SHARED else ""


def screen_each(texts: Iterable[str], known: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Each criterion and why it cannot be used, whatever prompts it was written for; an empty reason where it can.

    Besides what `screen` finds, one nearly `known`, or nearly like an earlier one that can be used, is `redundant`.

    >>> dict(screen_each(["Image 1 is sharper.", "Both hands have five fingers."]))
    {'Image 1 is sharper.': 'comparative', 'Both hands have five fingers.': ''}
    """
    seen = list(known)
    for text in texts:
        reason = screen(text, "") or ("redundant" if repeated(text, seen) is not None else "")
        if not reason:
            seen.append(text)
        yield text, reason
