"""What we know: models, pins, licences, evidence, the ledger of jobs, shipments and the audit log.

It must never know how pixels are made (`workers`) or in which order work is done (`flows`). Database rows
stay inside; what leaves are the frozen values of `policy`. `registry.licences` is as pure as `policy` itself.
"""
