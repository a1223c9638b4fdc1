"""What is computed on KPI series outside SQL: anomalies and alert rules.

``windows`` and ``seasonal`` are arithmetic on arrays, ``rules`` applies what the catalogue declares, ``series`` reads
the headlines from the warehouse, ``anomalies`` makes the rows of ``kpi.kpi_anomalies``, ``alerts`` evaluates alert
rules. No Dagster, no sending, no clock.
"""
