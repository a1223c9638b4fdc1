"""A page of 200 tenants and three years: how large, and how long until it can be used. `python -m benchmarks.dashboards`.

The tables are the tests' (`tests/reporting/kpi_tables.py`), as wide as the product's. The time runs from the start of
the navigation to the page having drawn every figure, in headless Chromium, the median of several loads; the ratio is to
the same page with one tenant, so that it says what the tenants cost, whatever the machine. Answering a filter is timed
as well: what a reader waits for after each choice.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

from analytics_platform.catalog import Audience, Catalog, load_catalog
from analytics_platform.lake.store import LocalStore
from analytics_platform.reporting.dashboards import load_page_rows
from analytics_platform.reporting.page import PageContent, render_page
from analytics_platform.reporting.payload import Pages

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from reporting.kpi_tables import LAST_DAY, KpiTables, catalog_with, publish, renamed, write_kpi_tables

MAX_BYTES = 3_000_000
MAX_SECONDS = 2.0
DASHBOARD = "executive_overview"  # the page with every KPI


def catalog_of(tenants: int) -> Catalog:
    """The catalogue with so many tenants, alternately in euros and in pounds."""
    shipped = load_catalog().tenants
    like = (shipped["brabant-rental"], shipped["albion-stage"])
    return catalog_with(renamed(like[n % 2], f"tenant-{n:03}", f"Tenant {n:03}") for n in range(tenants))


def write_page(folder: Path, tenants: int, days: int) -> Path:
    """Fill the tables, publish their extracts, and write the page of whoever sees everything."""
    catalog = catalog_of(tenants)
    tables = KpiTables(list(catalog.tenants.values()), days=days, projects=3, warehouses=2)
    warehouse = write_kpi_tables(folder / f"{tenants}.duckdb", tables)
    store = LocalStore(folder / f"lake-{tenants}")
    publish(warehouse, store, catalog, LAST_DAY - timedelta(days - 1), LAST_DAY)
    pages = Pages(catalog, load_page_rows(store, catalog, DASHBOARD, LAST_DAY))
    path = folder / f"{tenants}.html"
    path.write_bytes(render_page(catalog, PageContent(pages.payload(Audience("admin")), [])))
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
    """From the choice of a channel until every figure is drawn anew."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    taken: float = page.evaluate(
        "() => { const field = document.getElementById('filter-channel'); const start = performance.now();"
        " field.value = '=referral'; field.dispatchEvent(new Event('change')); return performance.now() - start; }"
    )
    page.close()
    return taken / 1000


def chromium() -> str:
    """The browser that is installed, as the tests find it."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        raise SystemExit("no Chromium is installed: apt-get install chromium")
    return found


def main() -> int:
    """Print size, seconds and ratio; answer 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--days", type=int, default=1096)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        paths = {tenants: write_page(Path(folder), tenants, chosen.days) for tenants in (1, chosen.tenants)}
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        opened: dict[int, list[float]] = {tenants: [] for tenants in paths}
        for _ in range(chosen.rounds):
            for tenants, path in paths.items():
                opened[tenants].append(seconds_to_interactive(browser, path))
        seconds = {tenants: statistics.median(times) for tenants, times in opened.items()}
        filtering = statistics.median(seconds_to_filter(browser, paths[chosen.tenants]) for _ in range(chosen.rounds))
        browser.close()
        size = paths[chosen.tenants].stat().st_size
    ratio = seconds[chosen.tenants] / seconds[1]
    print(f"{chosen.tenants} tenants, {chosen.days} days: {size:,} bytes (at most {MAX_BYTES:,})")
    print(
        f"interactive after {seconds[chosen.tenants]:.2f} s (at most {MAX_SECONDS}), {ratio:.1f} times one tenant's {seconds[1]:.2f} s"
    )
    print(f"a filter answers in {filtering:.2f} s")
    return int(size > MAX_BYTES or seconds[chosen.tenants] > MAX_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
