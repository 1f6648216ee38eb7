"""The annotator in a notebook: an anywidget canvas inside ordinary ipywidgets.

    browser/         draws tiles, sends what the user does; `bundle` joins its modules
       |  messages   JSON one way, JSON and bytes the other, over the kernel's comm
    canvas           the anywidget
    page             a `Screen`: draws the annotator's state, posts commands

widget          `SegmentWidget`, for cells
controls        buttons and sliders, ordinary ipywidgets each
automatic_row   those that segment everything
page_state      the annotator's state as the browser reads it
tile_view       what is shown in tiles, and which of them are old
tile_server     sends tiles, the newest view first
tiles           pixels and masks, cut and packed for the browser
still           a picture of the last state; `still_output` keeps it below the widget

Nothing but `canvas`, `controls`, `automatic_row`, `page`, `widget` and `still_output`
knows ipywidgets.
"""

from importlib.util import find_spec

if find_spec("anywidget") is None:
    raise ImportError(
        "The widget for notebooks needs anywidget and ipywidgets, which are not there: "
        'pip install "napari-sam-zarr[jupyter]", and restart the kernel.'
    )
