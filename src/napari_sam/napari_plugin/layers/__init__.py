"""The layers that the plugin draws into a viewer.

    placement         where an image layer's pixels are; all others lie over it
    labels            accepted objects, lazily from disk; label_array gives them the
                      image layer's axes
    candidate         the candidate, or the preview: fill and outline
    prompts           clicks and boxes
    rectangle         what a run is to segment
    found_tiles       what a run has found so far, from found_pyramid on disk
    encoded_windows   where a click is answered at once
    gl_context        removal in the canvas's own OpenGL context

The presenters draw values; what they are, they do not decide.
"""
