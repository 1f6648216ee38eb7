"""What the user does, as steps of a session; knows no browser and no ipywidgets.

Everything here runs on the desk. What comes of it is told to a `Screen`: as a state,
plain JSON, whenever it is another one, and as tiles for those who ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, Protocol

from napari_sam.errors import SamError, SessionError
from napari_sam.geometry import Box
from napari_sam.jupyter_widget import messages
from napari_sam.jupyter_widget.asking import Asking
from napari_sam.jupyter_widget.desk import Desk
from napari_sam.jupyter_widget.hovering import Hovering
from napari_sam.jupyter_widget.stage import Send, Stage
from napari_sam.jupyter_widget.worker import Worker
from napari_sam.labels import Edit
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.prompts import BoxPrompt, Click, Prompt
from napari_sam.session import Session
from napari_sam.walking import Walk

HEARD = {"type": "heard"}
"""To a page, which tells its user when the kernel says nothing for long."""

STOPPING = (messages.Commanded("cancel"), messages.Commanded("discard"))
"""What ends an undo that is under way."""

WALKING = "Undo or redo: saving... Escape stops it."


class Screen(Protocol):
    """Where a workspace is drawn; called on the desk, and from the tiles' thread."""

    def show(self, state: dict[str, Any]) -> None:
        """Draw this state."""

    def repeat(self) -> None:
        """Tell views the state once more: what a line lost when it broke."""

    def change_display(self, change: messages.Displayed) -> None:
        """A key in the browser has changed how things are shown."""

    @property
    def send(self) -> Send:
        """Sends messages to the views."""


class Workspace:
    """One session, and what is on its way; `close` it once.

    Parameters
    ----------
    session
        Closed with it.
    cache
        Of the session's predictor; previews fill it.
    screen
        Where it is drawn.
    notice
        A sentence for the user to begin with.

    Attributes
    ----------
    plane
        That is on show.
    failure
        What the user was told of last; whoever cares sets it to None before.
    """

    def __init__(
        self,
        session: Session,
        cache: EmbeddingCache,
        screen: Screen,
        notice: str = "",
    ) -> None:
        self.session = session
        self._screen = screen
        self._notice = notice
        self._error = ""
        self.failure: BaseException | None = None
        self._state: dict[str, Any] = {}
        self._settled = Event()
        self._is_closed = False
        self.plane = session.plane
        self.desk = Desk(self.show_error, self._rest)
        self.worker = Worker(self.desk)
        self.stage = Stage(
            session,
            screen.send,
            lambda error: self.desk.post(lambda: self.show_error(error)),
        )
        self.asking = Asking(session, self.worker, self.show_error)
        self.hovering = Hovering(self, cache)
        self._count = len(session.objects)
        self._walking: Walk | None = None
        session.labels_changed.connect(self._on_labels)
        self.desk.post(self.asking.catch_up)

    def handle(self, content: Any) -> None:
        """Take a message of the browser, on whatever thread it arrives."""
        try:
            message = messages.parse_message(content)
        except messages.MessageError as error:
            # Otherwise the name is unbound by the time that the desk calls.
            refused = error
            self._screen.send(HEARD)
            self.desk.post(lambda: self.show_error(refused))
            return
        if isinstance(message, messages.Arrived):
            self.stage.arrived(message.number)
        elif isinstance(message, messages.AskedAgain):
            self._screen.send(HEARD)
            self.desk.post(self._screen.repeat)
        elif isinstance(message, messages.ViewMoved):
            self.stage.want(message)
        else:
            if not isinstance(message, messages.Hovered):
                self._screen.send(HEARD)
            if message in STOPPING:
                self._stop_walking()  # now: the desk is busy with it
            self.desk.post(lambda: self._do(message))

    def point_at(self, prompts: Sequence[Prompt], plane: tuple[int, ...]) -> None:
        """Add prompts in a plane."""

        def add() -> None:
            self._be_in(plane)
            self.asking.add(prompts)

        self.hovering.show(None)
        self._notice = ""
        # Clicks need not wait for the answers to those before, but for all else.
        if self.asking.has_waiting:
            self.asking.soon(add)
        else:
            add()

    def replace_prompts(self, prompts: Sequence[Prompt]) -> None:
        """Say something else about the object, instead of all that was said."""
        self.asking.cancel()
        self.asking.forget()
        self.session.discard()
        self.asking.add(prompts)

    def accept(self) -> None:
        """Write the candidate, once its answer is there."""
        self.asking.soon(self.accept_now)

    def choose(self, index: int) -> None:
        """Take another of the candidates, counted from 0."""
        self.asking.soon(lambda: self._choose(index))

    def choose_next(self) -> None:
        """Take the next of the candidates; after the last comes the first."""

        def choose() -> None:
            count = len(self.candidates())
            if count:
                self._choose((self.session.chosen + 1) % count)

        self.asking.soon(choose)

    def discard(self) -> None:
        """Drop prompts and candidate, also those that are on their way."""
        self.asking.cancel()
        self.asking.forget()
        self.session.discard()

    def undo(self) -> None:
        """Take back the last step, also one that is on its way."""
        if self.asking.is_pending:
            self.asking.take_back()
        elif self.session.can_undo:
            self._walk(is_undo=True)

    def redo(self) -> None:
        """Do again what was taken back last."""
        if self.session.can_redo and not self.asking.is_pending:
            self._walk(is_undo=False)

    def edit_at(self, y: float, x: float, plane: tuple[int, ...]) -> None:
        """Begin to change the object at a point, if there is any."""
        label_id = self.session.labels.label_at(plane, y, x)
        if not label_id:
            raise SessionError("There is no object to pick here.")

        self.asking.soon(lambda: self._edit(label_id, plane))

    def edit(self, label_id: int) -> None:
        """Begin to change an object, in the plane on show if it is there."""
        found = [o for o in self.session.objects if o.label_id == label_id]
        planes = found[0].planes if found else (self.plane,)
        self._edit(label_id, self.plane if self.plane in planes else planes[0])

    def delete(self) -> None:
        """Delete the object that is being edited."""
        target = self.session.target
        if target is None:
            raise SessionError("Pick an object first, then delete it.")
        self.discard()
        self.session.delete(target)

    def go_to(self, plane: tuple[int, ...]) -> None:
        """Show another plane; prompts stay in theirs until a click is in another."""
        self.session.image.check_plane(plane)
        self.plane = plane
        self.hovering.show(None)

    def move_by(self, axis: int, step: int) -> None:
        """Show the plane so many further along an axis, as far as there are any."""
        counts = self.session.image.stack_shape
        if axis < len(counts):
            place = min(max(self.plane[axis] + step, 0), counts[axis] - 1)
            self.go_to((*self.plane[:axis], place, *self.plane[axis + 1 :]))

    def swap(self, session: Session) -> None:
        """Go on with a session of other channels, over the same labels."""
        self.asking.cancel()
        self.session.labels_changed.disconnect(self._on_labels)
        self.session = session
        session.labels_changed.connect(self._on_labels)
        self.asking = Asking(session, self.worker, self.show_error)
        self.stage.move_to(session)
        self.asking.catch_up()

    def tell(self, notice: str) -> None:
        """Tell the user something that is no error."""
        self._notice, self._error = notice, ""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is on its way; not on the desk. False: it took longer."""
        # What was asked for before is begun by then.
        self.desk.call(lambda: None)
        return self._settled.wait(timeout_s)

    def close(self) -> None:
        """Finish what is being written, and let others write the labels."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop_walking()
        self.worker.close()
        self.desk.call(self.asking.cancel)
        self.desk.close()
        self.stage.close()
        self.session.close()
        self._settled.set()

    def _do(self, message: messages.Message) -> None:
        self._error = ""
        match message:
            case messages.Pointed(plane, prompt):
                self.point_at([prompt], plane)
            case messages.Hovered(plane, click):
                self.hovering.at(plane, click)
            case messages.Chosen(index):
                self.choose(index)
            case messages.Picked(plane, y, x):
                self.edit_at(y, x, plane)
            case messages.Moved(axis, step):
                self.move_by(axis, step)
            case messages.Displayed():
                self._screen.change_display(message)
            case messages.Commanded(command):
                self.command(command)

    def command(self, command: messages.Command) -> None:
        """Do one of the things that need no more said."""
        acts: dict[messages.Command, Callable[[], None]] = {
            "accept": self.accept,
            "discard": self.discard,
            "undo": self.undo,
            "redo": self.redo,
            "delete": self.delete,
            "next": self.choose_next,
            "cancel": self.asking.cancel,
        }
        acts[command]()

    def _be_in(self, plane: tuple[int, ...]) -> None:
        if plane != self.session.plane:
            self.asking.cancel()
            self.session.set_plane(plane)
        self.plane = self.session.plane

    def candidates(self) -> tuple[Any, ...]:
        """Those that are there; asking the session for others asks the model."""
        return self.session.candidates if self.session.is_answered else ()

    def _edit(self, label_id: int, plane: tuple[int, ...]) -> None:
        self.session.set_plane(plane)
        self.session.edit(label_id)
        self.plane = plane

    def accept_now(self, label_id: int | None = None) -> int:
        """Write the candidate, as the next object or under an id, and return that."""
        if not self.candidates():
            raise SessionError(
                "There is nothing to accept yet: click on an object or drag a box "
                "around it first."
            )
        written = self.session.accept(label_id)
        self._notice = f"Object {written} is in the labels."
        return written

    def _choose(self, index: int) -> None:
        if index < len(self.candidates()):
            self.asking.choose(index)

    def _walk(self, *, is_undo: bool) -> None:
        """Undo or redo, and show how far it is; candidates are computed afterwards."""
        self._walking = walk = Walk(self.session, is_undo=is_undo)
        notice = self._notice
        try:
            while walk.go_on():
                self._notice = WALKING
                self.plane = self.session.plane
                self._rest()
        finally:
            self._walking, self._notice = None, notice
        self.plane = self.session.plane
        self.asking.catch_up()

    def _stop_walking(self) -> None:
        """Give up what is left of an undo or redo; the next one goes on."""
        walk = self._walking
        if walk is not None:
            walk.stop()

    def _on_labels(self, edit: Edit) -> None:
        self.stage.labels_changed(edit)
        self._count = len(self.session.objects)

    def show_error(self, error: BaseException) -> None:
        """Tell the user what went wrong; on the desk."""
        self.failure = error
        self._error = in_plain_words(error)

    def _rest(self) -> None:
        """Tell the screen, after each thing that was done."""
        if self.session.is_answered and not self.asking.is_pending:
            self.stage.show_candidate(self.session.candidate)
        state = self._described()
        if state != self._state:
            self._state = state
            self._screen.show(state)
        if self.asking.is_settled:
            self._settled.set()
        else:
            self._settled.clear()

    def _described(self) -> dict[str, Any]:
        session, asking = self.session, self.asking
        candidates = self.candidates() if not asking.is_pending else ()
        shown, preview = (
            self.stage.candidate.candidate,
            self.stage.preview.candidate,
        )
        unmet: Sequence[Prompt] = ()
        if candidates:
            unmet = session.candidates[session.chosen].unmet
        return {
            "plane": list(self.plane),
            "draftPlane": list(session.plane),
            "prompts": [_as_json(p, unmet) for p in asking.prompts],
            "scores": [round(float(c.score), 3) for c in candidates],
            "chosen": session.chosen if candidates else 0,
            "candidateBox": None if shown is None else _sides(shown.box),
            "previewBox": None if preview is None else _sides(preview.box),
            "target": session.target,
            "pending": asking.is_pending,
            "canUndo": session.can_undo or asking.is_pending,
            "canRedo": session.can_redo,
            "objects": self._count,
            "versions": self.stage.versions(),
            "notice": self._notice,
            "error": self._error,
        }


def in_plain_words(error: BaseException) -> str:
    """What a user is told: ours as they are, others with what they are."""
    if isinstance(error, SamError):
        return str(error)
    return f"Something went wrong ({type(error).__name__}: {error})."


def _as_json(prompt: Prompt, unmet: Sequence[Prompt]) -> dict[str, Any]:
    is_met = not any(prompt is other for other in unmet)
    if isinstance(prompt, Click):
        return {
            "kind": "click",
            "y": float(prompt.y),
            "x": float(prompt.x),
            "positive": prompt.positive,
            "met": is_met,
        }
    if isinstance(prompt, BoxPrompt):
        sides = [float(s) for s in (prompt.y0, prompt.x0, prompt.y1, prompt.x1)]
        return {"kind": "box", "box": sides, "met": is_met}
    return {"kind": "mask", "box": _sides(prompt.box), "met": is_met}


def _sides(box: Box) -> list[int]:
    return [int(side) for side in (box.y0, box.x0, box.y1, box.x1)]
