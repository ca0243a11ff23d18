"""The front door: the command line, the HTTP API and the pages. Thin: parse, call one step, print.

It must never know Prefect, Ray, torch or SQLAlchemy, and must never decide anything: whatever a person can
see here, a program can get from `flows.steps`.
"""
