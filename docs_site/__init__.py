"""The documentation as a site: the pages of `docs/`, and beside them a reference that is written from the code.

`make docs` builds it; nothing of it is committed. Belongs here: what turns declarations
into pages. Stays out: whatever a person writes, which lies in `docs/`.
"""
