"""Retention: what is past its term is planned, approved by somebody else, removed, counted again, and put on record.

    terms     which days of a dataset and tenant are due today, by class, financial year and legal holds
    holds     legal holds, which beat every term
    objects, tables, files    the sinks: what each holds, removing it, and counting what survived
    plan      the canonical plan and its hash
    approvals who drew and who approved a plan; never the same person
    lock      keeps builds of the same days away meanwhile
    desk      plan, dry run, apply, verify

Stays out: the calendar (`catalog.retention_clock`), what keeps removed days away (`lake.removals`), and Dagster.
"""
