"""When two prompts are the same."""

import hashlib


def prompt_id(prompt: str) -> str:
    """A short name for a prompt: 16 hex digits of its hash."""
    return hashlib.blake2b(prompt.encode("utf-8", "replace"), digest_size=8).hexdigest()


def same_words(prompt: str) -> str:
    """The prompt without its case and spacing: equal for prompts of the same words.

    >>> same_words("A red  Fox ")
    'a red fox'
    """
    return " ".join(prompt.casefold().split())
