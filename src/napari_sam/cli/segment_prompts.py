"""`napari-sam segment --prompts`: prompts in a file -> objects in a label volume."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_sam.cli.checking import SegmentPlan, make_plan
from napari_sam.cli.label_output import LabelOutput
from napari_sam.cli.overlay import Overlay, ShownObject, draw_overlay
from napari_sam.cli.reporting import (
    FAILED,
    INTERRUPTED,
    Steps,
    in_one_line,
    note,
    show,
    warn,
)
from napari_sam.cli.request import ModelChoice, Rule, SegmentRequest
from napari_sam.errors import LabelsLockedError, LabelWriteError, SamError
from napari_sam.labels import LabelGeometry, OverlapRule
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor import EmbeddingCache, ImagePredictor, PredictorOptions
from napari_sam.prompt_files import ObjectPrompts
from napari_sam.session import (
    ObjectAnswer,
    ObjectOutcome,
    Session,
    object_name,
    try_object,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What is not on disk, and why."""

    name: str
    error: BaseException


@dataclass(slots=True)
class SegmentReport:
    """What a run did, filled in while it does."""

    labels: Path
    written: list[ObjectOutcome] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    untried_count: int = 0
    overlays: list[Overlay] = field(default_factory=list)
    was_interrupted: bool = False

    def add(self, outcome: ObjectOutcome) -> None:
        """What became of the next object."""
        if outcome.error is None:
            self.written.append(outcome)
        else:
            self.failures.append(Failure(outcome.name, outcome.error))


def load_window_model(choice: ModelChoice) -> WindowModel:
    """Load the model; tests replace this by a model of theirs."""
    # Loading torch takes seconds, so it waits until the request has been checked.
    from napari_sam.model import load_model  # noqa: PLC0415

    return load_model(choice.name, choice.device, precision=choice.precision.value)


def run_prompts(request: SegmentRequest) -> SegmentReport:
    """Carry out a request.

    Raises
    ------
    SamError
        The request, the model or the output cannot be used. Nothing was written.
    """
    plan = make_plan(request)
    geometry = LabelGeometry.of(plan.image)
    named = [item.label_id for item in plan.objects if item.label_id is not None]
    report = SegmentReport(plan.location.path)
    with (
        plan.image,
        LabelOutput(plan.location, geometry, request.target, named) as output,
    ):
        predictor = ImagePredictor(
            load_window_model(request.model),
            plan.image,
            cache=EmbeddingCache(folder=request.model.cache_folder),
            options=PredictorOptions(finest_level=plan.level or 0),
        )
        run = SegmentRun(plan, predictor, output, request.target.rule, report)
        with Steps(len(plan.objects) + len(plan.pictures)) as steps:
            run.segment(steps)
            if not (report.was_interrupted or report.untried_count):
                run.draw(steps)
    return report


@dataclass(frozen=True, slots=True)
class SegmentRun:
    """Goes through the objects of a plan; a failing one does not stop the others."""

    plan: SegmentPlan
    predictor: ImagePredictor
    output: LabelOutput
    rule: Rule
    report: SegmentReport

    def segment(self, steps: Steps) -> None:
        """Write every object that can be written.

        A full disk and the user end it; what was written before is reported. A
        LabelError on making the labels is raised: nothing was written then.
        """
        report, objects = self.report, self.plan.objects
        try:
            self._add_objects(steps)
        except KeyboardInterrupt:
            report.was_interrupted = True
        except (LabelWriteError, LabelsLockedError) as error:
            index = self._tried_count
            report.failures.append(Failure(object_name(index, objects[index]), error))
        report.untried_count = len(objects) - self._tried_count
        if report.untried_count:
            return
        try:
            self.output.flush()
        except LabelWriteError as error:
            report.failures.append(Failure("flushing the labels to disk", error))

    def draw(self, steps: Steps) -> None:
        """Draw the overlay pictures."""
        labels = self.report.labels if self.output.was_opened else None
        written = {outcome.index: outcome for outcome in self.report.written}
        for plane, file in self.plan.pictures:
            steps.begin(str(file))
            objects = [
                _shown(item, written.get(index))
                for index, item in enumerate(self.plan.objects)
                if item.plane == plane
            ]
            try:
                picture = draw_overlay(self.plan.image, plane, labels, objects, file)
            except (SamError, OSError) as error:
                self.report.failures.append(Failure(f"overlay {file}", error))
            else:
                self.report.overlays.append(picture)

    @property
    def _tried_count(self) -> int:
        return len(self.report.written) + len(self.report.failures)

    def _add_objects(self, steps: Steps) -> None:
        """Find objects until one is worth making labels for; then add all the rest."""
        found: list[ObjectAnswer] = []
        for index, item in enumerate(self.plan.objects):
            steps.begin(object_name(index, item))
            answer = try_object(self.predictor, item)
            found.append(answer)
            if answer.candidate is not None:
                self._add_rest(found, steps)
                return
            self.report.add(ObjectOutcome(index, item, answer.error))

    def _add_rest(self, found: Sequence[ObjectAnswer], steps: Steps) -> None:
        objects = self.plan.objects

        def on_outcome(outcome: ObjectOutcome) -> None:
            if outcome.index < len(found) - 1:
                return  # which is reported
            self.report.add(outcome)
            following = outcome.index + 1
            if following < len(objects):
                steps.begin(object_name(following, objects[following]))

        session = Session(
            self.plan.image,
            self.output.open(),
            self.predictor.model,
            predictor=self.predictor,
        )
        session.add_objects(
            [*found, *objects[len(found) :]],
            OverlapRule(self.rule.value),
            on_outcome=on_outcome,
            keep_going=True,
        )


def _shown(item: ObjectPrompts, written: ObjectOutcome | None) -> ShownObject:
    if written is None:
        return ShownObject(item.prompts)
    return ShownObject(item.prompts, written.label_id, written.box)


def summarise(report: SegmentReport, *, debug: bool = False) -> int:
    """Print what is on disk and what is not, and return the exit code.

    0 only if all objects and pictures of the request are on disk.
    """
    for written in report.written:
        _warn_about(written)
    for overlay in report.overlays:
        if overlay.unreadable_count:
            warn(
                f"overlay {overlay.file}: parts of the image cannot be read and are "
                f"gray, {overlay.unreadable_count} in all."
            )
    _list_failures(report, debug=debug)
    count = len(report.written)
    if count:
        show(f"Labels: {report.labels} ({_counted(count)} written)")
    for overlay in report.overlays:
        show(f"Overlay: {overlay.file}")
    if report.was_interrupted:
        safe = f"{_counted(count)} safe in {report.labels}"
        note(f"interrupted; {safe if count else 'no object was written'}.", "error")
        return INTERRUPTED
    return FAILED if report.failures or report.untried_count else 0


def _counted(count: int) -> str:
    return f"{count} object" if count == 1 else f"{count} objects"


def _warn_about(written: ObjectOutcome) -> None:
    name = f"{written.name}, label {written.label_id}"
    if not written.is_complete:
        warn(f"{name}: it goes on beyond what was read, or its outline is coarse.")
    if written.unmet_count:
        warn(
            f"{name}: {written.unmet_count} of its {len(written.item.prompts)} prompts "
            "are not honoured by the mask."
        )


def _list_failures(report: SegmentReport, *, debug: bool) -> None:
    if not report.failures:
        return
    things = "thing" if len(report.failures) == 1 else "things"
    note(f"{len(report.failures)} {things} failed:", "error")
    for failure in report.failures:
        if debug:
            traceback.print_exception(failure.error)
        note(f"  {failure.name}: {in_one_line(failure.error)}")
    if report.untried_count and not report.was_interrupted:
        note(
            f"  {report.untried_count} more were not tried. What was written before "
            "is safe."
        )
