"""What is told of a job, written with what happens to it: a kill after the commit loses nothing.

Nothing is written, and nothing asked, where neither webhook nor e-mail is set.
"""

from collections.abc import Generator
from contextlib import contextmanager

from flows.bootstrap import House
from flows.settings import Settings
from policy.messages import Channel, Event, JobNews
from registry.records import JobState
from registry.unit_of_work import UnitOfWork

TOLD = {
    JobState.FINISHED: Event.FINISHED,
    JobState.FAILED: Event.FAILED,
    JobState.HELD: Event.HELD,
}


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """By which ways messages go."""
    return (
        *((Channel.WEBHOOK,) if settings.webhook_url is not None else ()),
        *((Channel.MAIL,) if settings.mail_to else ()),
    )


@contextmanager
def telling(house: House, work: UnitOfWork, job_id: str) -> Generator[None]:
    """Whatever becomes of the job inside is put into the outbox with it; the caller commits after it."""
    if not channels_of(house.settings):
        yield
        return
    before = work.ledger.state(job_id, lock=True)
    yield
    after = work.ledger.state(job_id)
    if after is not before and after in TOLD:
        put_news(house, work, job_id, TOLD[after])


def put_news(house: House, work: UnitOfWork, job_id: str, event: Event) -> None:
    """One message for each way that is set, of the job as it stands."""
    channels = channels_of(house.settings)
    if not channels:
        return
    job = work.ledger.job(job_id)
    news = JobNews(
        event=event,
        at=house.clock(),
        job_id=job.job_id,
        name=job.name,
        owner=job.owner,
        tier=job.tier,
        detail=job.detail,
        deadline=job.deadline,
        started_at=job.started_at,
        ended_at=job.ended_at,
        shots=job.counts.shots,
        made=job.counts.made,
        reused=job.counts.reused,
        dead=job.counts.dead,
        open=job.counts.open,
    )
    for channel in channels:
        work.messages.put(news, channel)
