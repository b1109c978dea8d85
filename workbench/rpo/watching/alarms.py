"""Alarms against reward hacking: what is measured on pictures that no judge is asked about, against the frozen base.

A judge with a flaw is played to: colours get shrill, edges go, a pattern spreads, all pictures become one. Statistics
of the pictures show it where the reward only rises.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float64]

STATISTICS = ("saturation", "brightness", "edges", "fineness", "near-duplicates")
"""Of the columns of `statistics_of`, and of the pairs of prompts."""

EDGE = 0.1
"""Sobel gradient above which a pixel lies on an edge, in units of the full range per pixel."""
ALIKE = 0.95
"""Likeness of thumbnails above which two pictures are near-duplicates."""
SIDE = 8
"""Of a thumbnail, in pixels."""
LARGEST = 512
"""Larger pictures are measured in their middle."""
DEVIATIONS = 3.5
"""How many standard errors a statistic may move."""
FEW = 8.0
"""By so much over their number the spread of a few prompts may be greater than it seems."""
ALLOWED = (0.02, 0.05, 0.02, 0.2, 0.05)
"""How far each statistic may always move: an honest policy changes a little, too."""
LEAST_PROMPTS = 8


@dataclass(frozen=True, slots=True)
class Statistics:
    """A batch of pictures, by prompt.

    - `means`: the first four of `STATISTICS`, averaged over a prompt's pictures; `(prompts, 4)`.
    - `alike`: share of near-duplicates between the pictures of two prompts; `(prompts, prompts)`.
    - `prompts`: what they were called, in this order; None where nobody said.
    """

    means: Array
    alike: Array
    prompts: tuple[Hashable, ...] | None = None

    @property
    def values(self) -> Array:
        """One number for each of `STATISTICS`."""
        return np.append(self.means.mean(axis=0), _between(self.alike))


@dataclass(frozen=True, slots=True)
class Alarms:
    """What pictures of the frozen base are like, and which batches are no longer like them.

    >>> alarms = Alarms.baseline(pictures_of_base, prompts)  # doctest: +SKIP
    >>> alarms.check(120, pictures, prompts)  # doctest: +SKIP
    ['update 120: saturation 0.61, the base has 0.31 and at most 0.42 is usual (64 pictures of 32 prompts; ...)']

    An alarm is raised outside `usual`, by near-duplicates only above it. On pictures like the base's, fewer than one
    check in a hundred does so. The same named prompts as the base's are compared one by one, which notices far less.
    """

    base: Statistics
    pictures: int

    @classmethod
    def baseline(cls, pictures: Sequence[Image.Image], prompts: Sequence[Hashable] | None = None) -> Self:
        """From pictures of the base; `prompts` names the prompt of each, None says they are all different.

        Raises `ValueError` for fewer than eight prompts, whose spread is not known.
        """
        base = statistics_of(pictures, prompts)
        if len(base.means) < LEAST_PROMPTS:
            raise ValueError(f"prompts: the base was shown {len(base.means)}; alarms need at least {LEAST_PROMPTS}")
        return cls(base, len(pictures))

    def check(
        self, update: int, pictures: Sequence[Image.Image], prompts: Sequence[Hashable] | None = None
    ) -> list[str]:
        """A sentence for every statistic that is out of the ordinary; none if all is well."""
        now = statistics_of(pictures, prompts)
        low, high = self.usual(now)
        sizes = f"{len(pictures)} pictures of {len(now.means)} prompts; base: {self.pictures} of {len(self.base.means)}"
        sentences = []
        for name, before, value, least, most in zip(STATISTICS, self.base.values, now.values, low, high, strict=True):
            if not least <= value <= most:
                limit = f"at most {most:.3g}" if value > most else f"at least {least:.3g}"
                sentences.append(
                    f"update {update}: {name} {value:.3g}, the base has {before:.3g} and {limit} is usual ({sizes})"
                )
        return sentences

    def usual(self, now: Statistics) -> tuple[Array, Array]:
        """Lowest and highest values of `STATISTICS` that raise no alarm in a batch of such prompts.

        base +- max(3.5 (1 + 8 / B) error, allowed)

        for B prompts of the base. The error is the standard error of the difference of two means, and for the base's
        own prompts that of the mean difference by prompt. The share of near-duplicates is a U-statistic: it varies
        twice as much as its rows do.
        """
        base, n = self.base, len(self.base.means)
        rows = (base.alike.sum(axis=1) - np.diag(base.alike)) / (n - 1)
        error = np.append(_deviation(base.means), 2 * _deviation(rows)) * math.sqrt(1 / n + 1 / len(now.means))
        if base.prompts is not None and now.prompts is not None and set(now.prompts) == set(base.prompts):
            same = [base.prompts.index(prompt) for prompt in now.prompts]
            error[:-1] = _deviation(now.means - base.means[same]) / math.sqrt(n)
        reach = np.maximum(DEVIATIONS * (1 + FEW / n) * error, ALLOWED)
        low, high = base.values - reach, base.values + reach
        low[-1] = -math.inf
        return low, high


def statistics_of(pictures: Sequence[Image.Image], prompts: Sequence[Hashable] | None = None) -> Statistics:
    """The statistics of pictures of any sizes; raises `ValueError` unless there is one prompt for each."""
    named = list(range(len(pictures)) if prompts is None else prompts)
    if len(named) != len(pictures) or not pictures:
        raise ValueError(f"prompts: {len(named)} were given for {len(pictures)} pictures; name the prompt of each")
    index = {prompt: i for i, prompt in enumerate(dict.fromkeys(named))}
    member = np.zeros((len(index), len(pictures)))  # (prompts, pictures)
    member[[index[prompt] for prompt in named], range(len(pictures))] = 1
    member /= member.sum(axis=1, keepdims=True)
    thumbnails = np.array([_thumbnail(picture) for picture in pictures])
    near = (thumbnails @ thumbnails.T > ALIKE).astype(np.float64)
    means = member @ np.array([_statistics(picture) for picture in pictures])
    return Statistics(means, member @ near @ member.T, None if prompts is None else tuple(index))


def _statistics(picture: Image.Image) -> Array:
    """Saturation, brightness, edges and fineness.

    - saturation: largest less smallest channel, mean over pixels, in [0, 1]; brightness: mean luma, in [0, 1].
    - edges: share of pixels whose colour changes by more than `EDGE`.
    - fineness: log of what sets pixels apart from their neighbours over the slopes there: it falls with blur and rises
      with noise and with grids, and hardly depends on what is shown.
    """
    pixels = np.asarray(_middle(picture.convert("RGB")), np.float64) / 255  # (H, W, 3)
    luma = pixels @ (0.299, 0.587, 0.114)  # (H, W)
    around = (luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]) / 4
    fine = np.abs(luma[1:-1, 1:-1] - around).mean()
    return np.array(
        [
            np.mean(pixels.max(axis=2) - pixels.min(axis=2)),
            luma.mean(),
            np.mean(np.sqrt(np.mean(_slope(pixels) ** 2, axis=2)) > EDGE),
            math.log((fine + 1e-4) / (_slope(luma[..., None]).mean() + 1e-4)),
        ]
    )


def _middle(picture: Image.Image) -> Image.Image:
    left, top = max(picture.width - LARGEST, 0) // 2, max(picture.height - LARGEST, 0) // 2
    return picture.crop((left, top, left + min(picture.width, LARGEST), top + min(picture.height, LARGEST)))


def _slope(pixels: Array) -> Array:
    """Length of the Sobel gradient of every channel, per pixel; `(H, W, C)` gives `(H - 2, W - 2, C)`."""
    down, across = pixels[2:] - pixels[:-2], pixels[:, 2:] - pixels[:, :-2]
    down = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 8
    across = (across[:-2] + 2 * across[1:-1] + across[2:]) / 8
    length: Array = np.hypot(down, across)
    return length


def _thumbnail(picture: Image.Image) -> Array:
    """The picture in 8 x 8 pixels, less its mean colour, of length 1; blank ones are all alike; `(193,)`."""
    pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64) / 255
    vector = np.append((pixels - pixels.mean(axis=(0, 1))).ravel(), 0.01)
    scaled: Array = vector / np.linalg.norm(vector)
    return scaled


def _between(alike: Array) -> float:
    """Mean over pairs of different prompts; 0 where there is but one."""
    n = len(alike)
    return float(alike.sum() - np.trace(alike)) / (n * (n - 1)) if n > 1 else 0.0


def _deviation(values: Array) -> Array:
    """Standard deviation over the first axis, of a sample."""
    deviation: Array = values.std(axis=0, ddof=1)
    return deviation
