"""Live traffic: the demo's companies at work for a moment, over real HTTP, through a real collector.

Who sends: visitors of the marketing site and users of the app, as Segment's browser client does (`visitors`); the
example application with Segment's Python client behind its tracker (`business`, over `demo.app`); scanners with the
scanner's emitter (`warehouse`). `traffic` lets them work and draws up
the account, `servers` runs what they talk to.

A burst is bounded and seeded. Bursts are counted, so each brings new events and what an earlier one left in the
application's database goes on.
"""

from analytics_platform.demo.live.traffic import LiveReport, live_burst

__all__ = ["LiveReport", "live_burst"]
