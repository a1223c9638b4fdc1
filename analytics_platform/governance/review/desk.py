"""Where a review is built, shown and signed: each call reads the lake, decides, and leaves all forms agreeing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.archive import (
    Review,
    ReviewUnreadableError,
    find_review,
    keep_forms,
    keep_review,
    read_review,
)
from analytics_platform.governance.review.build import Previous, building, review_content
from analytics_platform.governance.review.document import render
from analytics_platform.governance.review.quarters import Quarter
from analytics_platform.governance.review.signatures import Signature
from analytics_platform.governance.review.signing import Signing, Standing, sign, standing, tampered
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse


@dataclass(frozen=True)
class Shown:
    """A review as it stands; `problems` are all that is not as it was written, forms included."""

    review: Review
    standing: Standing
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Built:
    """What a building left: the review, how it stands, bytes by key, and whether the content is another than before."""

    review: Review
    standing: Standing
    sizes: dict[str, int]
    is_changed: bool


class ReviewDesk:
    """The reviews of one deployment.

    Args:
        store: the lake.
        catalog: rules and roles.
        time_zone: the reporting time zone.
    """

    def __init__(self, store: ObjectStore, catalog: Catalog, time_zone: str) -> None:
        self._store = store
        self._catalog = catalog
        self._time_zone = time_zone

    def build(self, warehouse: Warehouse, quarter: Quarter, run_id: str, now: datetime) -> Built:
        """Build a quarter's review. Equal content changes no byte; other content voids the signatures.

        Args:
            warehouse: the tables.
            quarter: which.
            run_id: the run that builds it, for the cover.
            now: the time of building.
        """
        content, evaluations = review_content(
            warehouse, self._catalog, quarter, self.previous(quarter), time_zone=self._time_zone, now=now
        )
        before = self._known(quarter)
        review = keep_review(self._store, content, building(evaluations, run_id, now))
        is_changed = before is None or before.sha256 != review.sha256 or not before.is_intact
        stands, sizes = self._render(review)
        return Built(review, stands, sizes, is_changed)

    def show(self, quarter: Quarter) -> Shown:
        """A quarter's review, verified. Raises `ReviewMissingError` and `ReviewUnreadableError`."""
        review = read_review(self._store, str(quarter))
        stands = standing(self._store, review, self._catalog.signoff_roles)
        problems = tampered(
            self._store,
            stands,
            str(quarter),
            lambda now: render(review, now, self._catalog.signoff_roles, self._time_zone),
        )
        return Shown(review, stands, tuple(problems))

    def sign(self, quarter: Quarter, asked: Signing, at: datetime) -> tuple[Signature, Standing]:
        """Sign a quarter's review, and show the signature in all forms. Raises `SigningRefusedError`."""
        review = read_review(self._store, str(quarter))
        signature = sign(self._store, review, self._catalog.signoff_roles, asked, at)
        stands, _ = self._render(review)
        return signature, stands

    def previous(self, quarter: Quarter) -> Previous:
        """The review before a quarter's, where it is there and as it was written."""
        name = str(quarter.previous)
        try:
            review = find_review(self._store, name)
        except ReviewUnreadableError as error:
            return Previous(None, str(error))
        if review is None:
            return Previous(None, f"there is no review of {name}")
        if not review.is_intact:
            return Previous(None, f"the review of {name} was changed after it was built")
        return Previous(review.content, None)

    def _known(self, quarter: Quarter) -> Review | None:
        try:
            return find_review(self._store, str(quarter))
        except ReviewUnreadableError:
            return None  # `keep_review` replaces it

    def _render(self, review: Review) -> tuple[Standing, dict[str, int]]:
        stands = standing(self._store, review, self._catalog.signoff_roles)
        rendered = render(review, stands, self._catalog.signoff_roles, self._time_zone)
        return stands, keep_forms(self._store, review.content.scope.quarter, rendered)
