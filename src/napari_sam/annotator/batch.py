"""Many objects at once: boxes that were collected, or a file of prompts.

All are computed before the first is written, so that Cancel leaves nothing half done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_sam.annotator.jobs import Job, JobQueue, JobWatch
from napari_sam.annotator.session_thread import SessionThread
from napari_sam.prompt_files import (
    ObjectPrompts,
    parse_objects,
    write_prompts,
)
from napari_sam.session import ObjectAnswer, Session

TOPIC = "batch"


class Batch:
    """Adds objects to a session's labels; all of it on the session's thread.

    Parameters
    ----------
    session
        That gets them.
    jobs
        Where they are computed.
    thread
        Where they are written, and what the user does comes in between.
    """

    def __init__(self, session: Session, jobs: JobQueue, thread: SessionThread) -> None:
        self._session = session
        self._jobs = jobs
        self._thread = thread
        self._unwritten: deque[ObjectAnswer] = deque()

    @property
    def is_writing(self) -> bool:
        """Whether objects are computed that are not in the labels yet."""
        return bool(self._unwritten)

    def add(self, objects: Sequence[ObjectPrompts]) -> None:
        """Compute these objects, then write them."""
        session = self._session
        # They get ids of their own: those in a file may be others' here.
        unnamed = [replace(item, label_id=None) for item in objects]
        requests = session.request_objects(unnamed)

        def work(watch: JobWatch) -> list[ObjectAnswer]:
            answers = []
            for done, request in enumerate(requests):
                watch.progress(done, len(requests))
                answers.append(session.compute_object(request, lambda _: watch()))
            return answers

        self._jobs.submit(
            Job(
                work,
                done=self._write,
                failed=self._thread.fail,
                topic=TOPIC,
                text=f"Segmenting {len(requests)} objects",
            )
        )

    def _write(self, answers: Sequence[ObjectAnswer]) -> None:
        self._unwritten.extend(answers)
        for _ in answers:
            # Posted at once: also those are written that wait while an image is closed.
            self._thread.post(self._write_next)

    def _write_next(self) -> None:
        if not self._unwritten:
            return  # one before could not be written
        try:
            self._session.add_objects([self._unwritten.popleft()])
        except Exception:
            self._unwritten.clear()
            raise


def save_prompts(session: Session, path: Path) -> None:
    """Write the prompts of all objects that were made from some.

    Parts of one object, such as in several planes, become an entry each: the first
    keeps the id.
    """
    objects, known = list[ObjectPrompts](), set[int]()
    for record in session.labels.records():
        saved = record.record.get("prompts")
        if not saved:
            continue
        (item,) = parse_objects([saved], need_positive=False)
        label_id = None if record.label_id in known else record.label_id
        known.add(record.label_id)
        objects.append(replace(item, plane=record.plane, label_id=label_id))
    write_prompts(path, objects)
