"""The napari front end: draws the state of an `Annotator`, and decides nothing.

    dock, panels/    widgets that draw a state and post commands
    controller       which image is open; the model, the cache and the choices
    queued_screen    from the session's thread to the window's
    screen           a state as layers and sliders
    image_view       the viewer's world as planes and (y, x)
    layers/          labels, candidate, prompts, what a run has found
    mouse, keys      what a user does on the canvas
    painting         napari's brush over a crop
    sources          which image a layer shows
    opening          from a layer to a session
    activity, log    what takes time, and what went wrong
    settings         what napari keeps for the plugin
    signalling_cache embeddings, and a signal when there are more
    sample_data, writer

The only place that imports qtpy, napari, superqt or magicgui.
"""
