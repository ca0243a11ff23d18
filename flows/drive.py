"""``python -m flows.drive JOB``: drive one job in a process of its own, for ``rightstep render --detach``."""

import sys

from flows.bootstrap import open_house
from flows.rendering import render_job
from flows.settings import load_settings

if __name__ == "__main__":
    render_job(open_house(load_settings()), sys.argv[1])
