"""One window: a grid of clicks in, a label image out.

`options` say what is searched and kept, `point_grid` where clicks lie, and `segment`
goes from clicks to objects: `mask_filters` drop what is none, `label_image` paints what
is left, and `window_objects` are the result, with what stitching needs to know of it.
`mask_generator` has segment_anything's interface for one image in memory.
"""
