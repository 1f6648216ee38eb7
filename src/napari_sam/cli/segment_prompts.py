"""`napari-sam segment`: prompts in a file -> objects in a label volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sam.cli.checking import Plan, Task, make_plan
from napari_sam.cli.label_output import LabelOutput
from napari_sam.cli.overlay import Overlay, Shown, draw_overlay
from napari_sam.cli.progress import Steps
from napari_sam.cli.request import Network, SegmentRequest
from napari_sam.errors import (
    LabelError,
    LabelsLockedError,
    LabelWriteError,
    PredictorError,
    SamError,
)
from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.candidates import Candidate
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompt_files import prompts_to_json


@dataclass(frozen=True, slots=True)
class Written:
    """An object that is on disk."""

    task: Task
    label_id: int
    score: float  # 0..1
    level: int  # the coarsest that its outline comes from
    box: Box  # in pixels of level 0
    is_complete: bool
    unmet_count: int  # prompts that its mask does not honour


@dataclass(frozen=True, slots=True)
class Failure:
    """What was asked for and is not on disk."""

    name: str
    error: BaseException


@dataclass(slots=True)
class Report:
    """What a run did, filled in while it does."""

    labels: Path
    written: list[Written] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    untried_count: int = 0
    overlays: list[Overlay] = field(default_factory=list)
    was_interrupted: bool = False


def load_window_model(network: Network) -> WindowModel:
    """Load the model; tests put theirs in its place."""
    # Loading torch takes seconds, so it waits until the request has been checked.
    from napari_sam.model.checkpoints import load_model  # noqa: PLC0415

    return load_model(network.name, network.device, precision=network.precision.value)


def run_segment(request: SegmentRequest) -> Report:
    """Carry out a request.

    Raises
    ------
    SamError
        The request, the model or the output cannot be used. Nothing was written.
    """
    plan = make_plan(request)
    geometry = LabelGeometry.of(plan.image)
    asked = [task.label_id for task in plan.tasks if task.label_id is not None]
    report = Report(plan.place.path)
    with plan.image, LabelOutput(plan.place, geometry, request.target, asked) as output:
        model = load_window_model(request.network)
        cache = EmbeddingCache(folder=request.network.cache_folder)
        predictor = ImagePredictor(model, plan.image, cache=cache)
        run = Run(plan, predictor, model.fingerprint, output, report)
        with Steps(len(plan.tasks) + len(plan.pictures)) as steps:
            run.segment(steps)
            if not (report.was_interrupted or report.untried_count):
                run.draw(steps)
    return report


@dataclass(frozen=True, slots=True)
class Run:
    """Goes through the objects of a plan; a failing one does not stop the others."""

    plan: Plan
    predictor: ImagePredictor
    fingerprint: str
    output: LabelOutput
    report: Report

    def segment(self, steps: Steps) -> None:
        """Write every object that can be written.

        A full disk and the user end it; what was written before is reported. A
        LabelError on making the labels is raised: nothing was written then.
        """
        report = self.report
        for index, task in enumerate(self.plan.tasks):
            try:
                steps.begin(task.name)
                self._try(task)
            except KeyboardInterrupt:
                report.was_interrupted = True
            except (LabelWriteError, LabelsLockedError) as error:
                report.failures.append(Failure(task.name, error))
                report.untried_count = len(self.plan.tasks) - index - 1
                return
            if report.was_interrupted:
                report.untried_count = len(self.plan.tasks) - index
                return
        try:
            self.output.flush()
        except LabelWriteError as error:
            report.failures.append(Failure("flushing the labels to disk", error))

    def draw(self, steps: Steps) -> None:
        """Draw the overlay pictures."""
        labels = self.report.labels if self.output.was_opened else None
        for plane, file in self.plan.pictures:
            steps.begin(str(file))
            objects = [
                self._shown(task) for task in self.plan.tasks if task.plane == plane
            ]
            try:
                picture = draw_overlay(self.plan.image, plane, labels, objects, file)
            except (SamError, OSError) as error:
                self.report.failures.append(Failure(f"overlay {file}", error))
            else:
                self.report.overlays.append(picture)

    def _shown(self, task: Task) -> Shown:
        for done in self.report.written:
            if done.task is task:
                return Shown(task.prompts, done.label_id, done.box)
        return Shown(task.prompts)

    def _try(self, task: Task) -> None:
        """Segment one object; what only concerns it becomes a failure."""
        try:
            candidate = self._predicted(task)
        except (SamError, OSError, RuntimeError, MemoryError) as error:
            # torch tells of a full GPU by a RuntimeError.
            self.report.failures.append(Failure(task.name, error))
            return
        self.output.open()
        try:
            label_id = self.output.add(
                candidate, task.label_id, self._record(candidate, task)
            )
        except LabelError as error:
            self.report.failures.append(Failure(task.name, error))
            return
        self.report.written.append(
            Written(
                task,
                label_id,
                candidate.score,
                candidate.level,
                candidate.box,
                candidate.complete,
                len(candidate.unmet),
            )
        )

    def _predicted(self, task: Task) -> Candidate:
        candidates = self.predictor.predict(
            task.prompts, task.plane, level=self.plan.level
        )
        if not candidates:
            raise PredictorError(
                "the model sees no object there. Move the points, or add a box."
            )
        return candidates[0]

    def _record(self, candidate: Candidate, task: Task) -> dict[str, Any]:
        """What the journal keeps of an object besides its pixels."""
        return {
            "prompts": prompts_to_json(task.prompts),
            "model": self.fingerprint,
            "score": candidate.score,
            "level": candidate.level,
            "candidate": 0,
        }
