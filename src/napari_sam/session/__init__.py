"""One image being labelled: prompts, answers, objects, undo; no GUI, no threads.

session      `Session`, which applies everything
prompting    what was prompted for the object in hand
refinement   a request for masks, computed by anyone, applied by the session
history      undo and redo, kept beside the labels
inputs       what may be given as image, model and labels
"""

from napari_sam.session.session import Session

__all__ = ["Session"]
