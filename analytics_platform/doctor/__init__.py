"""Looks at a deployment and says what is wrong with it, and the mend: `analytics doctor`.

One module per subject, each a probe: a generator `look(deployment)` of findings. A probe looks with the parts that the
platform itself works with, through their ports, and leaves nothing behind. `probes` lists them in the order in which
they are told, `examination` runs them: one that breaks or does not come back stops none of the others.

Belongs here: what to look at, what is wrong, the mend. Stays out: mending, and what the data is like, which checks say.
To add a probe, write its module and a line in `probes`.
"""
