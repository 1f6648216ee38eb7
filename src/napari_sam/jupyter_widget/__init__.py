"""The session in a notebook: an anywidget canvas inside ordinary ipywidgets.

    browser/         draws tiles, sends what the user does; `bundle` joins its modules
       |  messages   JSON one way, JSON and bytes the other, over the kernel's comm
    canvas           the anywidget; `widget` and `controls` put ipywidgets around it
    page             a `Screen`: draws the annotator's state, posts commands
    tile_view        what the browser shows in tiles, and which of them are old
    tiles            pixels and masks, cut and packed for the browser

Nothing but `canvas`, `controls`, `automatic_row`, `page`, `widget` and the outputs
knows ipywidgets.
"""

from importlib.util import find_spec

if find_spec("anywidget") is None:
    raise ImportError(
        "The widget for notebooks needs anywidget and ipywidgets, which are not there: "
        'pip install "napari-sam-zarr[jupyter]", and restart the kernel.'
    )
