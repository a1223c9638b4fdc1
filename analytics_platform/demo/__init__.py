"""A seeded simulation of the business of four rental companies, as the messages that their systems would send.

One module per domain (`growth`, `revenue`, `rentals` with `fleet` and `transport`, `invoicing`, `support`, `surveys`,
`product`), one for what makes the tenants different (`profiles`), and the way to the wire (`journal`, `messages`,
`delivery`, `faults`). The output goes through `analytics import` like anybody's data; nothing here writes a lake or a
warehouse.
"""

from analytics_platform.demo.simulation import simulate

__all__ = ["simulate"]
