"""One image being labelled: prompts, answers, objects, undo; no GUI, no threads.

session        `Session`, which is all of the below
prompting      the object at hand: requests for other prompts, and their answers
refinement     from a request to the candidates that it leads to
objects        an object in the labels: its record, its mask as a prompt, many at once
label_editor   what goes into the labels
history        undo and redo, kept beside the labels
signals        what a session announces
inputs         what may be given as model and labels
"""

from napari_sam.session.history import HistoryStep, PromptState
from napari_sam.session.inputs import as_model
from napari_sam.session.objects import (
    ObjectAnswer,
    ObjectOutcome,
    check_object,
    object_name,
    try_object,
)
from napari_sam.session.refinement import Answer, Candidates, Request
from napari_sam.session.session import Session

__all__ = [
    "Answer",
    "Candidates",
    "HistoryStep",
    "ObjectAnswer",
    "ObjectOutcome",
    "PromptState",
    "Request",
    "Session",
    "as_model",
    "check_object",
    "object_name",
    "try_object",
]
