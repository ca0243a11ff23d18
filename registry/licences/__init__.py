"""What licences say, what people claim, and what follows for a stack and an intended use.

Pure: standard library and `policy` only. It reads no file: `registry.catalogue` reads the term files
and hands their tables to the parser here.
"""
