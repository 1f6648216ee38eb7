"""The napari front end: draws a `Session` and decides nothing.

`jobs` runs what takes time and `activity` shows it; `sources` and `placement` say
which image a layer shows, and where; the `*_layer` modules draw labels, candidate and
prompts. The only place that imports qtpy, napari, superqt or magicgui.
"""
