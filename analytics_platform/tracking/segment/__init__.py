"""The Segment workspace as code: tracking plan, sources, and the destination that sends to our collector.

`desired` says what the catalogue wants, `workspace` reads what is there, `changes` is the difference, `api` speaks
Segment's Public API. Nothing that the catalogue does not declare is deleted, but for rules of our own tracking plan.
"""
