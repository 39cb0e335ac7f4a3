"""What a mail may hold where a ticket shall hold words: the table that every ticket driver is shown."""
HOSTILE = (
    # JSON, and the queries of JQL, TicketSQL, sysparm_query and Redmine's filters
    '"}]}, "x": "', "\\", "\\\\ \\' \\\"", "\\\" OR project = \"X\" --", "'; DROP TABLE tickets; --", "' OR Status = 'new",
    "') OR id > 0 #", "^active=true^ORcaller_id=x", "~all | * !x ><2026-01-01", "^b=c",
    # Markdown, wiki text, Textile, HTML, and what ends a quoted block
    "[x](https://evil.example.net)", "![i](https://evil.example.net/i)", "{code}{noformat}{html}", "{{include(secret)}}",
    "[code]<b>x</b>[/code]", "<script>alert(1)</script>", "</pre><script>alert(1)</script>", "<!-- mailhook", "--> <img src=x>",
    "|pipe|table|", "`tick` ``` ~~~", "h1. x", "- [ ] task", "1. one",
    # mentions, references, links made of bare text, commands
    "@everyone @ann <!channel> <@U1>", "[~admin]", "#1 GH-1 !1 &1 ~bug octo/ops#1", "https://evil.example.net www.evil.example.net",
    "/close", "/assign @ann", "/close\n/assign @ann",
    # headers, templates, formats, shells
    "line\r\nX-Evil: yes\r\n\r\nbody", "{what} {nope} {{", "%s%n%x ${HOME} $(id)",
    # signs that are not seen, and many that are
    "\x01\x1b[31m\x7f", "\u202egnp.exe", "K\u00f6ln \u65e5\u672c\u8a9e", "x" * 3000, "\x00",
)
