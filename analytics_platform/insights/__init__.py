"""What is computed on KPI series and on the platform's own record outside SQL: anomalies, alert rules, promises.

``windows`` and ``seasonal`` are arithmetic on arrays, ``rules`` applies what the catalogue declares, ``series`` reads
the headlines from the warehouse, ``anomalies`` makes the rows of ``kpi.kpi_anomalies``, ``alerts`` evaluates alert
rules. ``deadlines`` is the clock of promises about time, ``expectations`` says which tenant should have sent what,
``receipts`` reads what landed when, ``promises`` judges and makes the rows of ``ops.sla_attainment``. No Dagster, no
sending, no clock.
"""
