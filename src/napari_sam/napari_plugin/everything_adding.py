"""What a run has found goes into the labels, block by block.

The user's own steps come first: a block is begun only while the labels are free. None
waits in their queue, which Discard empties.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

from napari_sam.annotator.run_merge import RunMerge
from napari_sam.napari_plugin.screen import Workspace

PAUSE_MS = 10
"""Between two blocks, and between two looks whether the labels are free."""


class Adding(QObject):
    """Writes the blocks of a `RunMerge`; `stop` it before the workspace is closed.

    Parameters
    ----------
    parent
        Keeps it until it is stopped.
    workspace
        Whose labels they go into.
    merging
        Is closed in the end.
    said
        Is told how many blocks are done before each.
    done, failed
        One of them is called in the end, unless it is stopped.
    """

    def __init__(
        self,
        parent: QObject,
        workspace: Workspace,
        merging: RunMerge,
        said: Callable[[int], None],
        done: Callable[[RunMerge], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(parent)
        self._workspace, self._merging = workspace, merging
        self._said, self._done, self._failed = said, done, failed
        self._blocks = deque(merging.blocks)
        self._is_stopped = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._write_next)
        self._timer.start()

    def stop(self) -> None:
        """Write no more; what is written stays."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._timer.stop()
        self._merging.close()
        # Not at once: it may be the timer's own call that ends it.
        self.deleteLater()

    def _write_next(self) -> None:
        workspace, merging = self._workspace, self._merging
        if not self._blocks:
            self.stop()
            self._done(merging)
        elif not workspace.writing.is_free or workspace.asking.is_pending:
            self._timer.start()
        else:
            self._said(len(merging.blocks) - len(self._blocks))
            block, session = self._blocks.popleft(), workspace.session

            def write() -> BaseException | None:
                try:
                    merging.write(session, block)
                except Exception as error:  # noqa: BLE001 - a full disk; told below
                    return error
                return None

            workspace.writing.write(write, self._on_written)

    def _on_written(self, error: BaseException | None) -> None:
        if self._is_stopped:
            return
        if error is None:
            self._timer.start()
        else:
            self.stop()
            self._failed(error)
