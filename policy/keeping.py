"""Which served pictures stay in the store: a share of them, chosen by the id of their job alone.

Whoever knows the share and the id can say afterwards what was kept, and that nobody chose it by its content.
"""

from policy.canonical import digest_text

SCALE = 2**64


def is_kept(job_id: str, share: float) -> bool:
    """Whether the pictures of a served job stay, where ``share`` (0 to 1) of all jobs' pictures do.

    What is kept at a share is kept at every larger one.
    """
    return int(digest_text("kept-share", job_id)[:16], 16) < share * SCALE
