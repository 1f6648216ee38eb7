"""What a run settles before it begins: object size, empty windows, the plan.

`planning` makes the plan, from `samples` of the image: `blob_size` estimates the size
of the objects without a model, `size_trial` with it, and `empty_windows` learns what
flat background is.
"""
