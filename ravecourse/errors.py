"""The one error that the kit raises on purpose."""


class RaveCourseError(Exception):
    """Something that the person can put right: says what was wrong, with the value, and what to do.

    The command line prints its text on one line and exits with status 2.
    """
