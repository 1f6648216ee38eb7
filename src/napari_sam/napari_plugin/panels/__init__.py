"""The parts of the dock: each draws a state, and posts what the user wants.

    object_panel      the object at hand: candidates, accept, undo
    painting_panel    napari's brush, rough masks
    automatic_panel   segment everything
    object_list       the objects in the labels
    labels_panel      where the labels are; prompts in files
    model_picker      models of the registry, and files
    widgets           buttons, rows, sections; what the model gets to see
    guarded           errors go to the user

All of them are in the `SegmentDock`, which draws them when the state is another one.
"""
