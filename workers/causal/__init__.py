"""Streams video chunk after chunk: the causal transformer, its rollout, and the decoder that goes along.

It knows torch and diffusers, and never Ray, a database or a clock: whoever shows the frames sets the pace.
"""
