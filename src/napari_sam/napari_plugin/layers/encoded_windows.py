"""The windows that are encoded, as rectangles: where a click is answered at once."""

from __future__ import annotations

from napari.layers import Shapes

from napari_sam.napari_plugin.screen import Workspace
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.windows import from_level

COLOR = "#9467bd"


class EncodedPresenter:
    """Draws what the cache holds of a workspace's plane, on request.

    Parameters
    ----------
    workspace
        The image.
    cache
        Of the session's predictor.
    """

    def __init__(self, workspace: Workspace, cache: EmbeddingCache) -> None:
        self._workspace, self._cache = workspace, cache
        placement = workspace.placement
        self.layer = Shapes(
            name=f"{workspace.layer.name} encoded",
            ndim=len(placement.axes),
            edge_color=COLOR,
            face_color="transparent",
            opacity=0.6,
            **placement.transform(),
            **placement.names(),
        )

    def draw(self) -> None:
        """Draw the windows that are encoded now."""
        workspace, session = self._workspace, self._workspace.session
        plane = workspace.plane_in_view
        rectangles = []
        for level, facts in enumerate(session.image.levels):
            if plane is None:
                break
            for window in self._cache.windows(
                session.image.fingerprint,
                plane,
                level,
                session.predictor.model.fingerprint,
            ):
                box = from_level(window, facts, session.image.shape)
                corners = (
                    (box.y0, box.x0),
                    (box.y0, box.x1),
                    (box.y1, box.x1),
                    (box.y1, box.x0),
                )
                rectangles.append(
                    [workspace.placement.point(plane, yx) for yx in corners]
                )
        self.layer.data = []
        if rectangles:
            self.layer.add_rectangles(
                rectangles, edge_color=COLOR, face_color="transparent", edge_width=2
            )
        self.layer.editable = False
        if self.layer not in workspace.viewer.layers:
            workspace.viewer.add_layer(self.layer)
            workspace.show_layers()

    def close(self) -> None:
        """Take it away."""
        if self.layer in self._workspace.viewer.layers:
            self._workspace.viewer.layers.remove(self.layer)
