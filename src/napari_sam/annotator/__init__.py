"""What a user does with one image: commands in, one frozen state out.

    commands      what a user can do, as values
    state         what a screen draws, and the protocol of a screen

Knows no Qt, no browser and no napari.
"""
