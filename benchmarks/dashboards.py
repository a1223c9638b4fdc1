"""Pages of 200 tenants and three years: bytes, and seconds until they are of use. `python -m benchmarks.dashboards`.

The rows are the tests' (`tests/reporting/large_pages.py`), as wide as the product's. The time runs from the start of
the navigation until a page has drawn every figure, in headless Chromium, the median of several loads; the ratio is to
the same page with one tenant, so that it says what the tenants cost, whatever the machine. Answering a filter is timed
as well: what a reader waits for after each choice.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

from analytics_platform.catalog import Audience, Catalog, load_catalog
from analytics_platform.reporting.page import PageContent, render_page
from analytics_platform.reporting.payload import Pages

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from reporting.kpi_tables import catalog_with, renamed
from reporting.large_pages import large_page_rows

MAX_BYTES = 3_000_000
MAX_SECONDS = 2.0


@dataclass(frozen=True)
class Measured:
    """A page's size and its medians in seconds: of many tenants, of one, and after a filter."""

    size: int
    seconds: float
    seconds_of_one: float
    seconds_to_filter: float

    @property
    def is_good(self) -> bool:
        """Whether both bounds hold."""
        return self.size <= MAX_BYTES and self.seconds <= MAX_SECONDS


def catalog_of(tenants: int) -> Catalog:
    """The catalogue with so many tenants, alternately in euros and in pounds."""
    shipped = load_catalog().tenants
    like = (shipped["brabant-rental"], shipped["albion-stage"])
    return catalog_with(renamed(like[n % 2], f"tenant-{n:03}", f"Tenant {n:03}") for n in range(tenants))


def write_page(folder: Path, catalog: Catalog, dashboard: str, days: int) -> Path:
    """Write the page of whoever sees everything."""
    rows = large_page_rows(catalog, dashboard, list(catalog.tenants.values()), days)
    path = folder / f"{dashboard}-{len(catalog.tenants)}.html"
    path.write_bytes(render_page(catalog, PageContent(Pages(catalog, rows).payload(Audience("admin")), [])))
    return path


def seconds_to_interactive(browser: Browser, path: Path) -> float:
    """From the start of the navigation until every figure is drawn and the page listens."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    taken = time.perf_counter() - start
    page.close()
    return taken


def seconds_to_filter(browser: Browser, path: Path) -> float:
    """From the choice of a tenant until every figure is drawn anew."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    taken: float = page.evaluate(
        "() => { const field = document.getElementById('filter-tenant_id'); const start = performance.now();"
        " field.value = 'Tenant 001'; field.dispatchEvent(new Event('change')); return performance.now() - start; }"
    )
    if "tenant_id=tenant-001" not in page.url:
        raise SystemExit("the page did not take the filter")
    page.close()
    return taken / 1000


def measure(browser: Browser, path: Path, path_of_one: Path, rounds: int) -> Measured:
    """Open both pages in turn, so that what else the machine does falls on both."""
    many, one = [], []
    for _ in range(rounds):
        many.append(seconds_to_interactive(browser, path))
        one.append(seconds_to_interactive(browser, path_of_one))
    filtering = [seconds_to_filter(browser, path) for _ in range(rounds)]
    median = statistics.median
    return Measured(path.stat().st_size, median(many), median(one), median(filtering))


def chromium() -> str:
    """The browser that is installed, as the tests find it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("no Chromium is installed: apt-get install chromium")
    return found


def main() -> int:
    """Print size, seconds and ratio of each dashboard; answer 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--days", type=int, default=1096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dashboard", action="append", help="only this one; may be repeated")
    chosen = parser.parse_args()
    catalog, of_one = catalog_of(chosen.tenants), catalog_of(1)
    are_good = True
    print(f"{chosen.tenants} tenants, {chosen.days} days; at most {MAX_BYTES:,} bytes and {MAX_SECONDS} s")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for dashboard in chosen.dashboard or catalog.dashboards:
            paths = [write_page(Path(folder), each, dashboard, chosen.days) for each in (catalog, of_one)]
            found = measure(browser, paths[0], paths[1], chosen.rounds)
            are_good = are_good and found.is_good
            ratio = found.seconds / found.seconds_of_one
            print(
                f"{dashboard}: {found.size:,} bytes, interactive after {found.seconds:.2f} s "
                f"({ratio:.1f} times one tenant's), a filter answers in {found.seconds_to_filter:.2f} s",
                flush=True,
            )
        browser.close()
    return 0 if are_good else 1


if __name__ == "__main__":
    sys.exit(main())
