"""The command line, one file a noun: each command parses, calls one step and prints.

It must never decide anything, nor import Prefect, Ray, torch or SQLAlchemy; what is heavy is imported by the
command that needs it, so that ``--help`` stays quick.
"""
