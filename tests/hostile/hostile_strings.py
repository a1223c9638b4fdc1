"""What a client may write where it may write text: one attack on each reader of it, and on each way of spelling it.

Each string fits a text field of the plan (128 characters), so that it comes as far as a client's text can come. What
would run does one thing: it sets `window.planted` or asks an address below `evil.test`.
"""

from __future__ import annotations

from collections.abc import Mapping

SCRIPT = "window.planted=1"

HOSTILE: Mapping[str, str] = {
    # A page: its text, its attributes, its scripts and styles, its templates.
    "script": f"</script><script>{SCRIPT}</script>",
    "style": f"</style></title></textarea><svg/onload={SCRIPT}>",
    "image": f"<img src=http://evil.test/x onerror={SCRIPT}>",
    "attribute": f"\" autofocus onfocus={SCRIPT} x=' onmouseover={SCRIPT} ",
    "comment": f"--><script>{SCRIPT}</script><!--",
    "address": f"javascript:{SCRIPT}//",
    "separators": f"\u2028{SCRIPT}\u2029//*/`${{{SCRIPT}}}",
    "template": "{{ 7*7 }}${7*7}<%= 7*7 %>{% raw %}{{ env_var('HOME') }}",
    # A statement, and what an engine or an adapter makes of it.
    "quote": "'; drop table kpi.kpi_mrr; --",
    "double_quote": '"; drop schema raw cascade; --',
    "backslash": "\\'; drop table kpi.kpi_nps; -- \\",
    "dollars": "$$; drop table raw.billing; $$ {x} %s %(x)s ? :1 $1",
    "union": "x') union all select * from identities--",
    # A sheet.
    "formula": '=HYPERLINK("http://evil.test","x")',
    "plus": "+cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "at": "@SUM(1+9)*cmd|' /C calc'!A0",
    "tab": "\t=1+1",
    "carriage": "\r=1+1",
    "columns": 'a","b\n=1+1;c',
    # A chat, a page in Markdown, a document that is set.
    "mention": "<!channel> <@U123> @here <https://evil.test|click>",
    "code": "``` `rm -rf` ``` *bold* ~gone~ _it_",
    "markdown": "[click](javascript:alert(1)) ![x](http://evil.test/x.png) | a | b |",
    "typesetting": '#panic("x") #read("/etc/passwd") *b* $x$ \\u{41} @ref //',
    "formula_language": '", FILTER(ALL(x), TRUE())) // #"Source" & [y] \'z\'',
    # A log and a terminal.
    "forged_line": 'a\n2026-03-02 00:00:00 - CRITICAL - {"event":"forged"}',
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    # A path.
    "path": "../../../../etc/passwd",
    "other_tenant": "x/day=2026-03-02/tenant=albion-stage/../..",
    "encoded_path": "%2e%2e%2f%00/..\\..\\con",
    # What looks like something else.
    "right_to_left": "\u202egnp.exe\u2066\u2069",
    "zero_width": "ad\u200bm\u200d\ufeffin",
    "homoglyph": "\u0430lbi\u043en-st\u0430ge",
    "combining": "Z\u0338\u0327\u035b\u0322a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f3f3\ufe0f\u200d\U0001f308",
    "nothing": "a\x00b",
    "noncharacter": "a\uffff\ufffe\U0010ffffb",
    "null_word": "NULL",
    "number_word": "1e309",
}
