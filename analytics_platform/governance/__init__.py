"""What the organisation answers for with the data: reviews of its quality, signed by those who rely on it.

Belongs here: what is reviewed and signed, as pure functions on tables and files. Stays out: Dagster, which builds these
as assets (`defs`), and how documents look (`documents`).
"""
