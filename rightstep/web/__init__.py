"""The HTTP API: a plain FastAPI app over `flows.steps`, served by whoever is handed it.

It must never know Ray, torch, Prefect or a database, and must never decide what may be made.
"""
