"""What people read: extracts, and the dashboards drawn from them.

``extracts`` publishes what a consumer may read, one Parquet object per day; ``headlines`` is the one extract computed
here. ``periods``, ``measures`` and ``breakdowns`` turn extracts into the figures of a dashboard, ``page`` turns figures
into one HTML file, ``dashboards`` puts it together per audience. KPI logic stays out (it is dbt's, declared in
``catalog``), and so does who may open a file.
"""
