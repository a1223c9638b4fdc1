"""What somebody is told when a promise is broken: incidents, their routing, their words, and their delivery to Slack.

    finding ──router──► incident ──life cycle──► change ──words──► outbox ──delivery──► Slack

`findings` says what can be wrong, `routing` and `incidents` decide (pure), `store` keeps, `messages` words, `desk` is
where they meet, `delivery` alone speaks to Slack. Nothing here looks for failures: whoever judges runs, checks and
promises hands its findings to the desk. Nothing here knows Dagster.
"""
