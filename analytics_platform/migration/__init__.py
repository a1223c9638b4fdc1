"""Moving a deployment's data from the embedded default to the backends that its settings name.

``lake`` copies objects, ``warehouse`` tables, ``home`` the few files that a home alone holds; each plans, copies and
compares, may be broken off anywhere and begun again, and refuses a target that holds anything else. ``state`` remembers
what was brought where. What Dagster remembers is copied by ``defs.migrating_records``, which knows its tables, and
``defs.migrating`` puts the parts together. Stays out: removing the source.
"""
