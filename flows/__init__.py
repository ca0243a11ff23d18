"""The order of work: settings, wiring, the steps of a job, and the Prefect flows that run them.

It must never know how a page or a command line looks (`rightstep`), nor hold a rule of its own: what may be
made is asked of `policy`, what is known is asked of `registry`. No other package imports Prefect.
"""
