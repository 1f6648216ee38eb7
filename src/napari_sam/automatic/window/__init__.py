"""One window: a grid of clicks in, a label image out.

`options` say what is searched and kept, `point_grid` where clicks lie, and `segment`
goes from clicks to objects: `mask_filters` drop what is none, `label_image` paints what
is left, `window_labels` numbers it, and `window_objects` are the result, with what
stitching needs to know of it. Where a model has an instance decoder, `instances` come
from its maps instead, in windows of a size that `map_windows` chooses.
`mask_generator` has segment_anything's interface for one image in memory.
"""
