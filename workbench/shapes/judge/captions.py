"""Finding a caption below a picture from its pixels alone: a white strip across the whole width with black text."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = 247
"""Least value of all three channels. No background is as white: the brightest has a channel of 242 or less."""
DARK = 110
"""Most value of any channel of the pixels that are ink."""
BLANK = 0.97
"""Share of white in a row without text, the frames a lossy format leaves around letters included."""
LEAST_WHITE = 0.2
"""Share of white in the densest row of letters."""
GREY = 40
"""Most difference between the channels of a pixel of the strip: black on white has no colour."""
MARGIN = 2
"""Pixels left of the text that are white in every row of the strip."""
LEAST_INK, MOST_INK = 0.005, 0.6


def caption_top(image: Image.Image) -> int | None:
    """The first row of the caption strip at the bottom of an RGB picture; None where there is none.

    The strip is blank at its ends and left of the text, holds dark text and no colour, and what lies above it does not
    begin white at the left; a scene has none, whatever its brightness, dust or blur.
    """
    last = np.asarray(image.crop((0, image.height - 1, image.width, image.height)))
    if _white(last).mean() < BLANK:  # all but captioned pictures leave here
        return None
    pixels = np.asarray(image)
    white = _white(pixels)
    share = white.mean(axis=1)
    coloured = (np.ptp(pixels.astype(np.int16), axis=2) > GREY).mean(axis=1)
    beside = np.asarray(white[:, :MARGIN].all(axis=1))  # (height,)
    if beside.all() or not beside[-1]:
        return None  # a white page, or a scene on white, and no strip below something else
    top = image.height - int((~beside[::-1]).argmax())
    if (share[top:] < LEAST_WHITE).any() or (coloured[top:] > 1 - BLANK).any():
        return None
    top += int((share[top:] >= BLANK).argmax())  # rows in which the picture fades into the strip belong to neither
    ink = (pixels[top:].max(axis=2) < DARK).mean()
    return top if LEAST_INK < ink < MOST_INK else None


def _white(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(pixels.min(axis=2) >= WHITE)
