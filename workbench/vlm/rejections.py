"""Statuses that another attempt would not change, and what each of them means for the run."""

import re
from dataclasses import dataclass

from workbench.vlm.errors import BadRequest, BudgetSpent, NoAnswer, NoVision, UnknownModel, VlmError, WrongKey
from workbench.vlm.settings import Endpoint

_NO_VISION = re.compile(
    r"(not|n't|no endpoints found that) support (image|vision|multi-?modal)"
    r"|not a (multi-?modal|vision)|image_url is only supported|at most 0 image|no (image|vision) support"
    r"|(image|vision|multi-?modal) (input|content)s? (is|are) not supported|not accept images?",
    re.I,
)
_TOO_MANY_IMAGES = re.compile(r"at most \d+ image|too many images", re.I)
_THIS_QUESTION = re.compile(
    r"content.?(filter|policy|management)|moderation|flagged|safety (system|filter|reason)|context.?(length|window)"
    r"|too (long|large|many tokens)|(invalid|cannot|could not|failed|unable)[^.]{0,40}(image|decode)|maximum context",
    re.I,
)
_SCHEMA = re.compile(r"response_?format|json_?schema|schema|structured|guided|grammar", re.I)
_LOGPROBS = re.compile(r"log_?probs", re.I)
_NO_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota", re.I)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A status that another attempt would not change, and what the server said with it."""

    status: int
    text: str

    @property
    def is_no_vision(self) -> bool:
        """The model takes no images."""
        return bool(_NO_VISION.search(self.text)) and not self.is_too_many_images

    @property
    def is_too_many_images(self) -> bool:
        """The server allows fewer images in a request."""
        return bool(_TOO_MANY_IMAGES.search(self.text)) and "at most 0 " not in self.text.lower()

    @property
    def is_this_question(self) -> bool:
        """The complaint is about this question's content, not about what all questions share."""
        return self.status == 413 or (self.status in (400, 403, 422) and bool(_THIS_QUESTION.search(self.text)))

    @property
    def is_schema(self) -> bool:
        """The server does not take the field that enforces the schema."""
        return self.status in (400, 422, 501) and bool(_SCHEMA.search(self.text))

    @property
    def is_logprobs(self) -> bool:
        """The server gives no log-probabilities."""
        return self.status in (400, 422, 501) and bool(_LOGPROBS.search(self.text))

    @property
    def is_no_quota(self) -> bool:
        """The account has nothing left to spend."""
        return self.status == 402 or (self.status == 429 and bool(_NO_QUOTA.search(self.text)))


def explain(rejection: Rejection, endpoint: Endpoint, *, has_key: bool, has_worked: bool) -> VlmError:
    """The error for a rejection: what was asked of whom, what the server said, and what to do.

    - `has_worked`: the server has answered other questions, so a complaint without a known cause is about this one.
    """
    status, said = rejection.status, rejection.text
    where = f"{endpoint.shown} (model {endpoint.model!r}) answered {status}: {said}"
    variable = endpoint.api_key_env
    if rejection.is_no_vision:
        return NoVision(f"{where}\nThe model takes no images: serve or name a vision-language model.")
    if rejection.is_too_many_images:
        return BadRequest(f"{where}\nRaise the server's number of images a request (vLLM: --limit-mm-per-prompt).")
    if rejection.is_no_quota:
        return BudgetSpent(f"{where}\nThe account has no quota left: top it up, then run again; answers are cached.")
    if rejection.is_this_question:
        remedy = "a smaller max_side" if status == 413 else "a shorter prompt or other images"
        return NoAnswer(f"{where}\nThis question was rejected and not sent again: try {remedy}.")
    if status in (401, 403):
        remedy = f"check the key in {variable}" if has_key else f"{variable} is not set: set it to the server's API key"
        return WrongKey(f"{where}\n{remedy[0].upper()}{remedy[1:]}.")
    if status == 404:
        return UnknownModel(f"{where}\nCheck the model's name, and that the base URL ends in /v1.")
    if 300 <= status < 400:
        return BadRequest(f"{where}\nThe server redirects: give the final address as base URL.")
    if has_worked:
        return NoAnswer(f"{where}\nOther questions were answered; this one was rejected and not sent again.")
    if rejection.is_schema:
        remedy = "Choose another way to enforce the schema: structured (--structured) json_object or off."
    else:
        remedy = "Every question would be sent like this: change the setting that the server names."
    return BadRequest(f"{where}\n{remedy}")
