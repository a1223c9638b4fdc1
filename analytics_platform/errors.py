"""The root of every failure that its reader can mend; a leaf that all rooms may import.

Each room names its own errors by outcome and derives them from `AnalyticsError`; the command line shows their text
without a traceback. What derives from anything else is a fault of the program.
"""


class AnalyticsError(Exception):
    """An expected failure; its text says what happened, why, and the mend."""
