"""``python -m analytics_platform.cli``."""

from analytics_platform.cli import main

main(prog_name="analytics")
