"""Makes pixels: renderers, Ray actors, the pool that feeds them, and the store that keeps what they made.

It must never know a database, a licence or a workflow engine. A worker gets ids, paths, pins, numbers and a
prompt; it gives back digests and timings. Only the renderer modules know torch, only the pool, actor and
serving modules know Ray.
"""
