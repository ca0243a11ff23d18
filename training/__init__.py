"""Trains, distils, measures and packs the built-in models.

This folder stands outside the wheel: what it makes is committed under `registry/builtin`, and
`python -m training all` makes it again. It must never know the job system, the ledger or the policy.
"""
