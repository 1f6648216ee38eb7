"""Every error this package raises on purpose.

Each also derives from the builtin it stands in for, so `except ValueError`
keeps working. Messages name what was needed, what came, and what to do next.
"""

from __future__ import annotations

from types import TracebackType


class SamError(Exception):
    """Base of all napari-sam errors."""


class GeometryError(SamError, ValueError):
    """A box, window or tile that cannot exist."""


class PromptError(SamError, ValueError):
    """A prompt that does not describe anything in the image."""


class MaskError(SamError, ValueError):
    """A mask, or a mask encoding, that cannot be used as given."""


class ImageError(SamError, ValueError):
    """An image that cannot be opened, or not in the way that was wanted."""


class ImageReadError(SamError, OSError):
    """Pixels of an opened image that cannot be read, such as a damaged chunk."""


class CheckpointError(SamError, ValueError):
    """Weights that are damaged, foreign, unsafe or of the wrong shape."""


class MapError(SamError, ValueError):
    """Maps of an instance decoder, or a way of reading them, that make no sense."""


class DownloadError(SamError, OSError):
    """Weights that could not be fetched whole."""


class PredictorError(SamError, RuntimeError):
    """A predictor that is used in the wrong order or beyond its bounds."""


class LabelError(SamError, ValueError):
    """A label volume that does not fit the image, or a label id that cannot be used."""


class LabelWriteError(SamError, OSError):
    """Labels that could not be written: read-only folder, full disk."""


class LabelsLockedError(SamError, OSError):
    """A label volume that another process is writing."""


class SessionError(SamError, RuntimeError):
    """A step of a labelling session that makes no sense right now."""


class EvaluationError(SamError, ValueError):
    """An evaluation that cannot be made, or a report that is another one's."""


class TrainingError(SamError, ValueError):
    """A training run that cannot be made as it was described."""


class SceneError(SamError, ValueError):
    """A synthetic scene that cannot be made as it was described."""


class NothingToWriteError(LabelError):
    """A change of labels that would not change a pixel."""


class Cancelled(SamError, RuntimeError):
    """Work that was given up because whoever asked for it changed their mind."""


class ImageWarning(UserWarning):
    """Something of an image is left out, or had to be guessed."""


class ForeignErrors:
    """Turn any error of a file format's library into one of ours.

    Codecs, network clients and the tasks of a dask graph raise what they like, down
    to `zlib.error` and `SyntaxError`: no list of them would be complete. So
    nothing but calls into such libraries goes inside of this block.

    Parameters
    ----------
    error
        ImageError or ImageReadError.
    what
        What was needed, the first half of the message.
    remedy
        What to do, the end of the message.
    """

    def __init__(self, error: type[SamError], what: str, remedy: str = "") -> None:
        self.error, self.what, self.remedy = error, what, remedy

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        cause: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(cause, Exception) and not isinstance(cause, SamError):
            message = f"{self.what}, got {one_line(cause)}. {self.remedy}"
            raise self.error(message.strip()) from cause


def one_line(cause: Exception) -> str:
    """An exception's type and text, without line breaks and at most 200 characters."""
    text = " ".join(str(cause).split()).rstrip(".")
    text = text if len(text) <= 200 else f"{text[:197]}..."
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
