"""What a catalogue that cannot be loaded says: which file, which field, what is wrong and how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass

from analytics_platform.errors import AnalyticsError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the catalogue.

    ``file`` is relative to the catalogue's folder, ``field`` a dotted path in which entries of a collection are named
    (``events[invoice.paid].fields[paid_at].pii``), ``mend`` says what to write instead.
    """

    file: str
    field: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.what}; {self.mend}"


class CatalogError(AnalyticsError):
    """The catalogue is not loaded. Carries every problem that was found, so that one reading mends them all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def wrong_in(file: str, field: str, what: str, mend: str) -> CatalogError:
    """Build the error of a single problem; an empty ``field`` means the whole file."""
    return CatalogError([Problem(file, field or "(whole file)", what, mend)])
