"""The bundled instruments, rendered from physical models: plucked strings, struck bars, a singing voice.

    strings  digital waveguide               voice    glottal pulses through a moving tract
    bars     modal synthesis                 melody   what is played
    space    body and room                   phrases  instrument, melody and touch together

Everything that they render is dedicated to the public domain (CC0 1.0).
"""

from .rendering import INSTRUMENTS, render, render_folder, write_clips

__all__ = ["INSTRUMENTS", "render", "render_folder", "write_clips"]
