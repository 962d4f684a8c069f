"""ravecourse: from a folder of sounds to an instrument played live in Pure Data."""

__version__ = "0.1.0"
