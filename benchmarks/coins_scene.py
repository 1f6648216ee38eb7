"""What a person does to a photograph of coins, for pictures of the user interfaces."""

CLICKS = ((125, 46), (127, 103), (125, 206), (120, 271), (188, 348), (195, 275))
"""(y, x) of a coin each, which are accepted."""

BOX = (108, 132, 147, 175)
"""y0, x0, y1, x1 around another one, accepted too."""

LAST = (197, 103)
NOT_THIS = (197, 128)
"""A coin that is not accepted yet, and what does not belong to it."""
