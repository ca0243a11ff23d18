"""What may be made, how and at what cost; says yes or no with all its reasons.

Pure: standard library only. It never reads a file, a clock, the environment or a
database, and never sees a pixel; what it needs to know is handed to it as values.
"""
