"""Analytics platform for equipment rental and event logistics: from a click or a scan to the number an executive reads.

Rooms, from the ground up: ``catalog`` (what is declared), ``tracking`` (the plan's compiled form), ``lake`` and
``warehouse`` (storage behind ports), ``intake`` (the way in), ``reporting`` and ``demo``, ``defs`` (all that knows
Dagster) and on top ``definitions`` and ``cli``. Each room imports only those below it.
"""
