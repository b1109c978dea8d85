"""What a picture does of its prompt, as the shapes world's second measurer sees it: for prompts and edits alike."""

from PIL import Image

from workbench.pairs.images import decode
from workbench.pairs.sources import read_bytes
from workbench.rpo.policy import Prompt
from workbench.shapes.inspector import inspect, inspect_edit


def inspect_prompt(prompt: Prompt, image: Image.Image) -> dict[str, bool | None]:
    """`inspect_edit` for a prompt with a source, `inspect` for one without."""
    if prompt.source is None:
        return inspect(prompt.text, image)
    return inspect_edit(prompt.text, decode(read_bytes(prompt.source)), image)
