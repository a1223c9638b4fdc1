"""Connectors: what does not arrive as events, made into events of the plan and sent through the one gate.

A connector is one YAML file of the deployment (`declared`, `loading`): a source (a folder of dropped files, an SQL
database, a REST API), streams of rows, and for each stream the rules that make events of its rows. `drops` and `pulls`
read sources, `mapping` and `values` make messages of rows, `landing` sends them through the gate and accounts for each,
`running` does one after the other so that a kill at any moment loses and doubles nothing.

What stays out: what a good message is (`intake`), and when a connector runs (`defs.connectors`). dlt is imported only
where something is pulled: it is heavy, and an extra of the installation.
"""
