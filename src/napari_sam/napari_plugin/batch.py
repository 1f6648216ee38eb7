"""Many objects at once: boxes that were collected, or a file of prompts.

All are computed before the first is written, so that Cancel leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_sam.napari_plugin.jobs import Job, Jobs, JobWatch
from napari_sam.napari_plugin.screen import Workspace
from napari_sam.prompt_files import (
    ObjectPrompts,
    parse_objects,
    read_prompts,
    write_prompts,
)
from napari_sam.session.objects import ObjectAnswer

TOPIC = "batch"


def segment_boxes(workspace: Workspace, jobs: Jobs) -> None:
    """Make an object of each box that was collected."""
    plane = workspace.boxes_plane
    objects = [ObjectPrompts((box,), plane) for box in workspace.boxes]
    workspace.boxes = ()
    segment_objects(workspace, jobs, objects)


def load_prompts(workspace: Workspace, jobs: Jobs, path: Path) -> None:
    """Make an object of each entry of a prompts file, or say why it cannot be."""
    workspace.writing.read(
        lambda: read_prompts(path),
        lambda objects: segment_objects(workspace, jobs, objects),
    )


def save_prompts(workspace: Workspace, path: Path) -> None:
    """Write the prompts of all objects that were made from some, in the worker.

    Parts of one object, such as in several planes, become an entry each: the first
    keeps the id.
    """
    labels = workspace.session.labels

    def save() -> None:
        objects, known = [], set()
        for record in labels.records():
            said = record.record.get("prompts")
            if not said:
                continue
            (item,) = parse_objects([said], need_positive=False)
            label_id = None if record.label_id in known else record.label_id
            known.add(record.label_id)
            objects.append(ObjectPrompts(item.prompts, record.plane, label_id))
        write_prompts(path, objects)

    workspace.writing.read(save, lambda _: None)


def segment_objects(
    workspace: Workspace, jobs: Jobs, objects: Sequence[ObjectPrompts]
) -> None:
    """Compute these objects in the worker, then write them."""
    session = workspace.session
    # They get ids of their own: those in a file may be others' here.
    unnamed = [replace(item, label_id=None) for item in objects]

    def request() -> None:
        _compute(workspace, jobs, session.request_objects(unnamed))

    workspace.writing.soon(request)


def _compute(
    workspace: Workspace, jobs: Jobs, requests: Sequence[ObjectPrompts]
) -> None:
    session = workspace.session

    def work(watch: JobWatch) -> list[ObjectAnswer]:
        answers = []
        for done, request in enumerate(requests):
            watch.progress(done, len(requests))
            answers.append(session.compute_object(request, lambda _: watch()))
        return answers

    def write(answers: list[ObjectAnswer]) -> None:
        for answer in answers:
            workspace.writing.write(partial(session.add_objects, [answer]))

    jobs.submit(
        Job(
            work,
            done=write,
            failed=workspace.show_error,
            topic=TOPIC,
            text=f"Segmenting {len(requests)} objects",
        )
    )
    workspace.draw()
