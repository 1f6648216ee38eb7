"""The types of number that pixels come in, either byte order."""

NUMBERS = [
    "u1",
    "u2",
    "u4",
    "u8",
    "i1",
    "i2",
    "i4",
    "i8",
    "f2",
    "f4",
    "f8",
    ">u2",
    ">i8",
    ">f4",
    ">f8",
]
