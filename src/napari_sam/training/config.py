"""Everything that a training run depends on, as one value.

Whoever has this value, the images and the code has the run: crops, prompts and
weights are drawn from its seed. It is read from TOML (`config_files`) or built from
command-line options, and written into the metadata of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Any

from napari_sam.errors import TrainingError
from napari_sam.model.tiny_vit import DEPTHS

SMALLEST_CROP = 32


def need(condition: bool, needed: str, came: Any) -> None:
    """Raise a TrainingError that says what was needed, unless the condition holds."""
    if not condition:
        raise TrainingError(f"{needed}, got {came}.")


def _need_share(name: str, value: float) -> None:
    need(0 <= value <= 1, f"{name} needs to be between 0 and 1", value)


def _need_range(name: str, values: tuple[float, float]) -> None:
    low, high = values
    need(0 < low <= high, f"{name} needs [low, high] with 0 < low <= high", [*values])


@dataclass(frozen=True, slots=True)
class DataSource:
    """A data set to learn from.

    Parameters
    ----------
    path
        A folder with `images/` and `labels/`, or an OME-Zarr image with labels.
    share
        Of the crops, compared with the other sources'; None: by the square roots of
        the number of objects in its planes. Given for all sources or for none.
    leave_out
        So many of its last planes, by name, are not learned from but validated on.
    """

    path: Path
    share: float | None = None
    leave_out: int = 0

    def __post_init__(self) -> None:
        need(
            self.share is None or self.share > 0,
            "share needs to be above 0",
            self.share,
        )
        need(self.leave_out >= 0, "leave_out needs to be 0 or more", self.leave_out)


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the training, from small crops to the whole window.

    A crop that is smaller than the window may lie anywhere in it. Small ones teach
    several times faster: an object is a larger part of what the loss looks at, and
    each of its pixels costs less.

    Parameters
    ----------
    share
        Of a cycle's length, 0..1; those of a cycle sum to 1.
    size
        Side of a crop, in pixels that the encoder sees.
    batch
        Crops in a step.
    prompts
        Objects asked about in a crop.
    object_size
        Smallest and largest size that the plane's median object gets by magnifying
        the plane, in pixels of the crop: square root of its area, log-uniform.
    """

    share: float = 1.0
    size: int = 256
    batch: int = 4
    prompts: int = 10
    object_size: tuple[float, float] = (16.0, 110.0)

    def __post_init__(self) -> None:
        need(0 < self.share <= 1, "share needs to be above 0, at most 1", self.share)
        need(
            self.size >= SMALLEST_CROP and self.size % 16 == 0,
            f"size needs a multiple of 16 pixels, at least {SMALLEST_CROP}",
            self.size,
        )
        need(self.batch > 0, "batch needs to be above 0", self.batch)
        need(self.prompts > 0, "prompts needs to be above 0", self.prompts)
        _need_range("object_size", self.object_size)


CURRICULUM = (
    Phase(0.5, size=128, batch=12, prompts=8, object_size=(24.0, 72.0)),
    Phase(0.5, size=256, batch=4, prompts=10, object_size=(28.0, 110.0)),
)


@dataclass(frozen=True, slots=True)
class Prompting:
    """What is asked about a crop.

    Parameters
    ----------
    box_share, point_box_share, mask_share
        Shares of the crops whose prompts are boxes, boxes with a point (and points on
        neighbours, that are not wanted), and masks; the others' are clicks.
    background_share
        Share of the clicks that hit no object: they teach the score, not the masks.
    correction_share
        Share of the steps that add correcting clicks, with the answer before as mask
        prompt.
    correction_from
        Share of the training before the first of them: an answer has to be worth
        correcting.
    corrections
        Most correcting clicks, one after the other; how many is drawn from 1 on.
    """

    box_share: float = 0.3
    point_box_share: float = 0.1
    mask_share: float = 0.15
    background_share: float = 0.1
    correction_share: float = 0.35
    correction_from: float = 0.0
    corrections: int = 2

    def __post_init__(self) -> None:
        kinds = ("box_share", "point_box_share", "mask_share")
        for name in (*kinds, "background_share", "correction_share"):
            _need_share(name, getattr(self, name))
        total = sum(getattr(self, name) for name in kinds)
        need(total <= 1 + 1e-9, f"{', '.join(kinds)} need to sum to at most 1", total)
        _need_share("correction_from", self.correction_from)
        need(self.corrections >= 1, "corrections needs 1 or more", self.corrections)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How crops are changed, so that a microscope more does not matter.

    Parameters
    ----------
    zoom
        Bounds on the magnification of a plane.
    gamma
        Largest logarithm of the gamma, either way.
    inversion, grey, swap, blur, noise, dark, stretch
        Shares of the crops that are inverted, made grey, have their colours
        exchanged, are blurred, get noise, are left dark, or have their intensities
        stretched between two percentiles.
    rotation
        Share of the crops of planes that are turned by any angle.
    crowding
        Share of the crops of planes that are the fullest of a few.
    """

    zoom: tuple[float, float] = (0.4, 8.0)
    gamma: float = 0.5
    inversion: float = 0.15
    grey: float = 0.2
    swap: float = 0.3
    blur: float = 0.2
    noise: float = 0.4
    dark: float = 0.25
    stretch: float = 0.3
    rotation: float = 0.5
    crowding: float = 0.3

    def __post_init__(self) -> None:
        _need_range("zoom", self.zoom)
        need(self.gamma >= 0, "gamma needs to be 0 or more", self.gamma)
        for name in self.__slots__:
            if name not in ("zoom", "gamma"):
                _need_share(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Optimisation:
    """AdamW, its rate, and the average of the weights.

    Parameters
    ----------
    learning_rate
        The highest one, after the warm-up; it ends at 0 as half a cosine.
    weight_decay
        Of matrices; the rest does not decay.
    warmup
        Share of the training in which the rate rises.
    average_decay
        Of the exponential moving average of the weights, which is the result.
    map_weight
        Of the instance decoder's maps (see `maps`); they are learned together with
        the encoder. 0: the result has no instance decoder.
    map_rate
        How many times faster the instance decoder learns than the rest.
    loss_stride
        Losses are computed on maps this many times smaller than the crop.
    """

    learning_rate: float = 6e-4
    weight_decay: float = 0.05
    warmup: float = 0.02
    average_decay: float = 0.998
    map_weight: float = 1.0
    map_rate: float = 1.0
    loss_stride: int = 2

    def __post_init__(self) -> None:
        rate = self.learning_rate
        need(0 < rate < 1, "learning_rate needs to be above 0, below 1", rate)
        need(self.weight_decay >= 0, "weight_decay needs 0 or more", self.weight_decay)
        need(0 <= self.warmup < 1, "warmup needs 0 or more, below 1", self.warmup)
        need(
            0 <= self.average_decay < 1,
            "average_decay needs 0 or more, below 1",
            self.average_decay,
        )
        need(self.map_weight >= 0, "map_weight needs 0 or more", self.map_weight)
        need(self.map_rate > 0, "map_rate needs to be above 0", self.map_rate)
        need(
            self.loss_stride in (1, 2, 4),
            "loss_stride needs 1, 2 or 4",
            self.loss_stride,
        )


@dataclass(frozen=True, slots=True)
class Validation:
    """What is measured on the planes that were left out.

    Parameters
    ----------
    every
        Steps from one measurement to the next.
    crops, prompts, size
        Fixed crops, objects in each, side in pixels (at most the window).
    """

    every: int = 200
    crops: int = 16
    prompts: int = 8
    size: int = 256

    def __post_init__(self) -> None:
        for name in ("every", "crops", "prompts"):
            value = getattr(self, name)
            need(value > 0, f"{name} needs to be above 0", value)
        need(
            self.size >= SMALLEST_CROP and self.size % 16 == 0,
            f"size needs a multiple of 16 pixels, at least {SMALLEST_CROP}",
            self.size,
        )


@dataclass(frozen=True, slots=True)
class Network:
    """What is trained.

    Parameters
    ----------
    start
        Name or path of the weights to start from; None: random ones.
    encoder
        Whether the image encoder of the start learns too; a random one always does.
    frozen_stages
        So many of the first stages of a `vit_t` encoder stay as they are even so, with
        what is before them: they cost most, and see edges and textures.
    name
        How the result is called; None: as the start, or "trained".
    image_size, window_size, window_sizes, object_share, instance_share
        As of `ModelMetadata`; None and empty: as the start's, or 512, 256, not said.
    """

    start: str | None = None
    encoder: bool = False
    frozen_stages: int = 0
    name: str | None = None
    image_size: int | None = None
    window_size: int | None = None
    window_sizes: tuple[int, ...] = ()
    object_share: float | None = None
    instance_share: float | None = None

    def __post_init__(self) -> None:
        need(
            0 <= self.frozen_stages <= len(DEPTHS),
            f"frozen_stages needs 0 to {len(DEPTHS)}",
            self.frozen_stages,
        )
        for name in ("image_size", "window_size"):
            value = getattr(self, name)
            need(value is None or value > 0, f"{name} needs to be above 0", value)
        sizes = list(self.window_sizes)
        need(
            sizes == sorted(set(sizes)) and all(size > 0 for size in sizes),
            "window_sizes needs sizes above 0, smallest first",
            sizes,
        )
        for name in ("object_share", "instance_share"):
            share = getattr(self, name)
            need(
                share is None or 0 < share < 1,
                f"{name} needs to be above 0 and below 1",
                share,
            )


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """A training run.

    Parameters
    ----------
    data
        What to learn from; may be empty where all crops are scenes.
    scenes_share
        Share of the crops that are synthetic scenes.
    steps, minutes
        How long; exactly one of them. A resumed run counts its earlier parts.
    seed
        Of weights, crops and prompts.
    cycles
        How often the phases are gone through.
    phase, network, prompting, augmentation, optimisation, validation
        See there.
    """

    data: tuple[DataSource, ...] = ()
    scenes_share: float = 0.0
    steps: int | None = None
    minutes: float | None = None
    seed: int = 1
    cycles: int = 1
    phase: tuple[Phase, ...] = CURRICULUM
    network: Network = field(default_factory=Network)
    prompting: Prompting = field(default_factory=Prompting)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimisation: Optimisation = field(default_factory=Optimisation)
    validation: Validation = field(default_factory=Validation)

    def __post_init__(self) -> None:
        _need_share("scenes_share", self.scenes_share)
        need(
            bool(self.data) or self.scenes_share == 1,
            "data needs a source, unless scenes_share is 1",
            "none",
        )
        shares = [source.share for source in self.data]
        need(
            None not in shares or not any(shares),
            "share needs to be given for all sources, or for none",
            shares,
        )
        given = [x for x in (self.steps, self.minutes) if x is not None]
        need(
            len(given) == 1 and given[0] > 0,
            "the length needs either steps or minutes, above 0",
            f"steps {self.steps} and minutes {self.minutes}",
        )
        need(self.seed >= 0, "seed needs to be 0 or more", self.seed)
        need(self.cycles > 0, "cycles needs to be above 0", self.cycles)
        need(bool(self.phase), "phase needs at least one", "none")
        total = sum(phase.share for phase in self.phase)
        need(
            isclose(total, 1, abs_tol=1e-6),
            "the phases' shares need to sum to 1",
            total,
        )

    def phase_at(self, progress: float) -> int:
        """Index of the phase at a share of the training, 0..1."""
        place = (progress * self.cycles) % 1.0 if progress < 1 else 1.0
        end = 0.0
        for number, phase in enumerate(self.phase):
            end += phase.share
            if place < end - 1e-9:
                return number
        return len(self.phase) - 1
