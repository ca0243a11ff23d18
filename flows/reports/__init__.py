"""What a job looks like the morning after: a contact sheet and a report, each one self-contained page.

It must never read the ledger or decide anything: it is handed a `JobView` and draws it.
"""
