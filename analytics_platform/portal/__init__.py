"""The portal: serves dashboards and reports to whoever may see them, and says on record who opened what.

    identity   who asks: a local login (`users`, `attempts`, `sessions`) or an identity provider's token (`tokens`)
    rights     what they may see: the access policy and the product's RBAC, read anew when they change
    shelf      the pages that there are, through the lake's port
    start      what the start page says of them; `html` and `words` write it
    app        HTTP: one check, one answer and one line of `audit` per file
    service    the parts put together, started and stopped

Stays out: what a page says (`reporting`, `governance`), and the rule by which one may be opened
(`governance.access.pages`). Rows are filtered before a page is written; nothing is filtered here.
"""
