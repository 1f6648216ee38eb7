"""What a user does with one image: commands in, one frozen state out.

commands         what a user can do, as values
state            what a screen draws, and the protocol of a screen
annotator        `Annotator`: opens a session, carries commands out, shows the state
actions          what each command does to the session
session_thread   the thread that the session belongs to
jobs             what takes time, beside it
pending_prompts  prompts whose answer is on its way, and what waits for it
preview          what a click under the mouse would give
prefetch         windows in view, encoded while nobody waits
undo             a step back that may take minutes
automatic_run    everything in a part of the image: found, merged, gone on with
run_merge        what a run finds, put into the labels block by block
run_text         what the user reads of a run
batch            many boxes, or a file of prompts, become objects
label_location   where labels go if nobody says

Knows no Qt, no browser and no napari.
"""

from napari_sam.annotator import commands
from napari_sam.annotator.annotator import Annotator
from napari_sam.annotator.commands import Command, Where
from napari_sam.annotator.jobs import JobWatch
from napari_sam.annotator.label_location import LabelsProposal, propose_labels
from napari_sam.annotator.run_merge import run_location, run_plan
from napari_sam.annotator.state import (
    AnnotatorState,
    JobState,
    Plane,
    RunState,
    Screen,
)

__all__ = [
    "Annotator",
    "AnnotatorState",
    "Command",
    "JobState",
    "JobWatch",
    "LabelsProposal",
    "Plane",
    "RunState",
    "Screen",
    "Where",
    "commands",
    "propose_labels",
    "run_location",
    "run_plan",
]
