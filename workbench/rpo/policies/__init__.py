from transformers.utils import logging

# Before diffusers is imported: it brings image processors along that say torchvision is missing, and none is used here.
logging.set_verbosity_error()  # type: ignore[no-untyped-call]
# In a notebook a bar is a widget, which a saved notebook cannot show.
logging.disable_progress_bar()  # type: ignore[no-untyped-call]
