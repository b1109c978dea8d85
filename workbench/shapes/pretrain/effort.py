"""Making the tiny policies with less than the full number of scenes and steps, to try it out."""


def scaled(effort: float, full: int) -> int:
    """The share `effort` of a full number, at least 200."""
    return max(round(effort * full), 200)
