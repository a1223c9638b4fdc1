"""A Power BI project (PBIP), generated from the catalogue: a semantic model in TMDL and report pages in PBIR.

    model (what is in it) ──► semantic_model (TMDL) ┐
    measures (DAX), sources (M)                      ├──► project (files, zip) ──► review (read back and judged)
    report (PBIR) ───────────────────────────────────┘

Belongs here: what Power BI reads, and judging it without Power BI. Stays out: who may see which rows (the text of roles
comes in from the access policy), the extracts themselves, and Dagster. `refresh` waits for a refresh over any client.
"""
