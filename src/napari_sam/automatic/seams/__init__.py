"""One object, one id, across windows: which are the same, their ids, the pixels.

`matching` decides which objects of overlapping windows are the same and which stay,
`stitching` gives them ids, and `write_labels` paints them, block by block.
"""
