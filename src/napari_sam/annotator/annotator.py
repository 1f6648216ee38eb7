"""What a user does with one image: opened, labelled and closed by one object.

    screen     post(command) ------------------+         show(state) <---+
    ...........................................|.........................|..........
    session's  open session -> carry out the command -> is it another state?
    thread                          |      ^
    worker                       compute --+ done

A screen posts commands from whatever thread it lives in, and draws the state that it is
given. Everything between the two lines happens on one thread, which the session belongs
to, so that a command finds all that came before it done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from time import monotonic
from typing import TypeVar

from napari_sam.annotator.actions import Actions
from napari_sam.annotator.commands import (
    Cancel,
    Command,
    Discard,
    MoveMouse,
    MoveView,
)
from napari_sam.annotator.jobs import JobWatch
from napari_sam.annotator.session_thread import SessionThread
from napari_sam.annotator.state import (
    AnnotatorState,
    JobState,
    Screen,
    in_plain_words,
)
from napari_sam.errors import Cancelled, SessionError
from napari_sam.predictor import Candidate, EmbeddingCache
from napari_sam.prompts import Prompt
from napari_sam.session import Session

T = TypeVar("T")

OpenSession = Callable[[JobWatch], Session]
"""Opens image, model and labels; may raise `Cancelled` where its watch does."""

QUIET = (MoveMouse, MoveView)
"""What a user does without meaning to, so that an error stays on show."""

OPENING = "Opening the image and the model"


class Annotator:
    """One image being labelled; `close` it in the end.

    Commands are done in the order in which they were posted, with these exceptions:

    - A click does not wait for the answers to clicks before. What needs an answer, such
      as `Accept`, waits for it, and so does all that the user does after it.
    - `Cancel` and `Discard` end an undo of many edits that goes on, at once.
    - `CancelRun` and a run's own steps come in between.

    Errors go to `Screen.report` and are in the state, until the next command.

    Parameters
    ----------
    open_session
        Called on the session's thread, first of all. The session is closed there too.
        Its `JobWatch` takes the progress of what is loaded, and raises `Cancelled` once
        the annotator is closed, or `Cancel` is posted.
    cache
        Of the session's predictor.
    screen
        Where it is drawn.
    prefetches
        Whether windows in view are encoded while nobody waits.
    notice
        A sentence for the user to begin with.

    Examples
    --------
    >>> annotator = Annotator(open_session, cache, screen)  # doctest: +SKIP
    >>> annotator.post(AddPrompts((Click(120, 80),), plane=()))  # doctest: +SKIP
    >>> annotator.post(Accept())  # doctest: +SKIP
    >>> annotator.wait()  # doctest: +SKIP
    True
    """

    def __init__(
        self,
        open_session: OpenSession,
        cache: EmbeddingCache,
        screen: Screen,
        *,
        prefetches: bool = False,
        notice: str = "",
    ) -> None:
        self._cache, self._screen = cache, screen
        self._prefetches = prefetches
        self._actions: Actions | None = None
        self._notice, self._error = notice, ""
        self._failure: BaseException | None = None
        self._opening = JobState(OPENING)
        self._watch = JobWatch(self._on_opening)
        self._stops = 0  # how often a user has given up what goes on
        self._mouse: deque[MoveMouse] = deque(maxlen=1)
        self._is_ended = False
        self._settled = Event()
        self._state = AnnotatorState(job=self._opening, notice=notice)
        self._thread = SessionThread(self._fail, self._rest)
        self._thread.post(lambda: screen.show(self._state))
        self._thread.post(lambda: self._open(open_session))

    @property
    def state(self) -> AnnotatorState:
        """The last one that was shown."""
        return self._state

    @property
    def session(self) -> Session:
        """The session, to read what never changes: image, labels, model.

        Raises
        ------
        SessionError
            It is not open.
        """
        return self._here.session

    def post(self, command: Command) -> None:
        """Have a command carried out; from any thread, and comes back at once."""
        if isinstance(command, MoveMouse):
            self._mouse.append(command)  # only where it is now counts
            self._thread.post(self._follow_mouse)
            return
        if isinstance(command, Cancel | Discard):
            self._stops += 1  # now: the session's thread may be busy with an undo
        if isinstance(command, Cancel) and self._opening.text:
            self._watch.cancel()
        stops = self._stops
        self._thread.post(lambda: self._carry_out(command, stops))

    def do(self, command: Command) -> None:
        """Have a command carried out, wait for all that comes of it, as a script does.

        Raises
        ------
        Exception
            Whatever went wrong; it is shown too.
        """
        self.call(lambda _: self._forget_failure())
        self.post(command)
        self.wait()
        if self._failure is not None:
            raise self._failure

    def call(self, act: Callable[[Session], T]) -> T:
        """Do something with the session when it is its turn, and wait for it.

        Parameters
        ----------
        act
            Called on the session's thread.

        Returns
        -------
        T
            What it returns.

        Raises
        ------
        Exception
            What it raises, or why the session could not be opened.
        """
        return self._thread.call(lambda: act(self._here.session))

    def accept(self, label_id: int | None = None) -> int:
        """Write the candidate, once its answer is there, and return its id.

        Parameters
        ----------
        label_id
            The id that it gets, such as that of the object in the plane before; None:
            the next free one.

        Returns
        -------
        int
            The id.

        Raises
        ------
        SessionError
            There is no candidate.
        """
        self.wait()
        return self._thread.call(lambda: self._here.accept(label_id))

    def prompts(self) -> tuple[Prompt, ...]:
        """Those of the object at hand, also on their way; when it is its turn."""
        return self._thread.call(lambda: self._here.prompts)

    def candidates(self) -> tuple[Candidate, ...]:
        """Those that are there, best first; when it is its turn."""
        return self._thread.call(lambda: self._here.candidates)

    def swap_session(self, open_session: OpenSession) -> None:
        """Go on with a session of other channels, over the same labels.

        Parameters
        ----------
        open_session
            Opens it, over the label store that is open. Where it fails, the session
            before stays.
        """
        watch = JobWatch(lambda done, count: None)
        self._thread.post(lambda: self._here.swap(open_session(watch)))

    def show_error(self, error: BaseException) -> None:
        """Show an error that came up beside the annotator; from any thread."""
        self._thread.post(lambda: self._fail(error))

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is on its way; a run is not waited for.

        Returns
        -------
        bool
            False where it took longer.
        """
        end_s = None if timeout_s is None else monotonic() + timeout_s
        reached = Event()
        # What was posted before is begun by then.
        if not self._thread.post(reached.set):
            return True
        if not reached.wait(timeout_s):
            return False
        return self._settled.wait(None if end_s is None else end_s - monotonic())

    def close(self, *, wait: bool = True) -> None:
        """Finish what is being written, and let others write the labels.

        What was posted is done as far as it needs no answer that is not there yet. An
        undo of many edits stops where it is, as a run does: the next session goes on
        with either.

        Parameters
        ----------
        wait
            Whether to come back only when all of it is done: a second call may wait for
            what the first one has begun.
        """
        self._stops += 1
        self._watch.cancel()
        self._thread.close(self._end)
        if wait:
            self._thread.join()

    @property
    def _here(self) -> Actions:
        if self._actions is not None:
            return self._actions
        if self._failure is not None:
            raise self._failure
        raise SessionError("This image is not open.")

    def _open(self, open_session: OpenSession) -> None:
        try:
            session = open_session(self._watch)
            if self._watch.is_cancelled:
                session.close()
                raise Cancelled("Nobody waits for this image any more.")
        except Cancelled:
            self._notice = "The image was not opened."
            return
        finally:
            self._opening = JobState()
        self._actions = Actions(
            session,
            self._cache,
            self._thread,
            self._screen,
            prefetches=self._prefetches,
        )
        self._actions.notice = self._notice

    def _on_opening(self, done: int, count: int) -> None:
        self._opening = JobState(OPENING, done, count)
        if self._thread.is_here:
            self._rest()

    def _follow_mouse(self) -> None:
        if self._mouse:
            self._carry_out(self._mouse.pop(), self._stops)

    def _carry_out(self, command: Command, stops: int) -> None:
        if not isinstance(command, QUIET):
            self._error = ""
        if self._actions is not None:
            self._actions.do(command, lambda: self._stops != stops)

    def _forget_failure(self) -> None:
        self._failure = None

    def _fail(self, error: BaseException) -> None:
        self._failure, self._error = error, in_plain_words(error)
        self._screen.report(error)

    def _rest(self) -> None:
        """Show the state, after each thing that was done, where it is another one."""
        if self._is_ended:
            return  # the screen keeps what it shows
        actions = self._actions
        if actions is None:
            job, notice = self._opening, self._notice
            state = AnnotatorState(job=job, notice=notice, error=self._error)
        else:
            state = replace(actions.describe(), error=self._error)
        if state != self._state:
            self._state = state
            self._screen.show(state)
        if actions is None:
            self._settled.set()
            return
        if actions.is_settled:
            self._settled.set()
        else:
            self._settled.clear()
        actions.rest()

    def _end(self) -> None:
        actions, self._actions, self._is_ended = self._actions, None, True
        try:
            if actions is not None:
                actions.close()
        finally:
            if actions is not None:
                actions.session.close()
            self._settled.set()
