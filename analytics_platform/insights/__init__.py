"""What is computed on KPI series outside SQL: anomalies, and what moved a number. Pure; no Dagster, no warehouse."""
