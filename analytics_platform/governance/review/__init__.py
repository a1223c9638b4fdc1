"""The quarterly data-quality review: can each team rely on its data, by which evidence, and who signed for it.

    tables ──evidence──► content ──canonical JSON──► SHA-256 ◄──binds── signatures
                            └──document──► HTML, PDF

`quarters` is the calendar; `evidence` reads tables and says which are not there; `scorecard`, `promises`,
`incidents`, `control_totals`, `schema_changes`, `follow_up` and `drift` each fill one section of `content`;
`verdicts` judges them by stated rules; `build` puts them together; `archive` keeps reviews in the lake; `signing`
decides who may sign what; `document` words it for readers. Stays out: Dagster (`defs.reviews`), Slack, and how
documents look (`documents`).

To add a figure: read it in a module of its own, give it a section in `content`, word it in `document`. To add a source,
declare it in `evidence.SOURCES` (or `drift.FIGURES`): until its table exists, the review says that it is not measured.
"""
