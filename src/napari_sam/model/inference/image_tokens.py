"""What the mask decoder computes of an embedding before there is any prompt.

Without a mask prompt every prompt on an image begins with the same image: its
embedding and what stands for "no mask". What layer 0 makes of it does not depend on
the prompt, so it is made once and kept while prompts on the image come in.

Nothing kept can be stale: it is found by the values of the embedding and of the
weights that it was made from, not by their names, places or version numbers. To
compare them takes a fraction of a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

IMAGES_KEPT = 4
"""5 MB each for the embedded default, 20 MB for a published model."""


@dataclass(frozen=True, slots=True, eq=False)
class DecoderImage:
    """An image as the decoder takes it: a row for each of p pixels, h heads.

    Parameters
    ----------
    shape
        (height, width) of the embedding, p pixels.
    features_pc
        The embedding.
    position_pc
        Position encodings of its pixels.
    unprompted_pc
        The embedding of an image that has no mask prompt.
    keys_hpd, values_hpd
        Of the unprompted image, for the tokens that attend to it in layer 0.
    queries_hpd
        Of the unprompted image, which attends to the tokens in layer 0.
    """

    shape: tuple[int, int]
    features_pc: Tensor
    position_pc: Tensor
    unprompted_pc: Tensor
    keys_hpd: Tensor
    values_hpd: Tensor
    queries_hpd: Tensor


_Entries = tuple[tuple[Tensor, DecoderImage], ...]


class RecentImages:
    """The images that the latest prompts were on.

    Threads may share it: what is kept is replaced as a whole. A copy of it, or one
    that went to another process, is empty.
    """

    def __init__(self) -> None:
        # The weights, and embeddings with what the weights made of them.
        self._kept: tuple[Tensor, _Entries] | None = None

    def __len__(self) -> int:
        return 0 if self._kept is None else len(self._kept[1])

    def __reduce__(self) -> tuple[type[RecentImages], tuple[()]]:
        return type(self), ()

    def find(
        self, features: Tensor, weights: Tensor, make: Callable[[], DecoderImage]
    ) -> DecoderImage:
        """The image of an embedding, made only where it is not kept.

        Parameters
        ----------
        features
            The embedding.
        weights
            All numbers of the network that go into the image, in a tensor of its own.
        make
            Makes the image of them.
        """
        kept, entries = self._kept or (weights, ())
        if not _same(kept, weights):
            # What other weights made is of no use any more.
            kept, entries = weights, ()
        for index, entry in enumerate(entries):
            if _same(entry[0], features):
                self._kept = kept, (entry, *entries[:index], *entries[index + 1 :])
                return entry[1]
        image = make()
        newest = (features.clone(), image)
        self._kept = kept, (newest, *entries)[:IMAGES_KEPT]
        return image


def _same(a: Tensor, b: Tensor) -> bool:
    alike = (a.shape, a.dtype, a.device) == (b.shape, b.dtype, b.device)
    return alike and torch.equal(_bits(a), _bits(b))


def _bits(x: Tensor) -> Tensor:
    """The same memory in words of 8 bytes, which are compared fastest."""
    flat = x.flatten()
    return flat.view(torch.int64) if flat.nbytes % 8 == 0 else flat
