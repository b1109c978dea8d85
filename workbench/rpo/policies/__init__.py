from transformers.utils import logging

# Before diffusers is imported: it brings image processors along that say torchvision is missing, and none is used here.
logging.set_verbosity_error()  # type: ignore[no-untyped-call]
