"""What does a farm cost its driver and its ledger: 100,000 shots, 1,000 jobs, 32 drivers?"""

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import farm_job
from benchmarks.farm_drivers import Race, race, small_chunk
from benchmarks.farm_queue import Queue, queue_of
from benchmarks.measurement import Figure, Measurement, at_least, at_most, plain
from benchmarks.own_postgresql import own_postgresql

SHOTS = 100_000
WORKERS = 1_000  # of one driver, for its heartbeat
FEW, MANY = 10, 1_000  # jobs in the queue
SLEEP, SHARE = 0.020, 400  # seconds a picture, pictures a driver
CROWDS = (1, 8, 32)  # drivers


def measure() -> Measurement:
    """The job in a house of its own, then the queue, then the drivers on PostgreSQL."""
    with TemporaryDirectory(prefix="rsb-") as folder:
        job = _job(Path(folder))
    queue = _queue(queue_of(FEW), queue_of(MANY))
    with own_postgresql() as url:
        _raced(url, 1, 0)  # warms up
        races = [_raced(url, drivers, SHARE * (place + 1) * 100) for place, drivers in enumerate(CROWDS)]
        jobs = _raced(url, CROWDS[-1], 10_000_000, jobs=8)
        clock, cpu = small_chunk(url)
    chunk = (
        plain("settling a batch of eight and leasing the next, on PostgreSQL", clock * 1000, "ms"),
        plain("of that, the driver's own CPU", cpu * 1000, "ms"),
    )
    return Measurement(
        question="What does a farm cost its driver and its ledger: 100,000 shots, 1,000 jobs, 32 drivers?",
        figures=(*job, *queue, *_drivers(races, jobs), *chunk),
        conditions=(
            f"One job of {SHOTS:,} shots from its file to its report in SQLite, each stage a fresh process; "
            "its worker stands in the driver's process, answers at once with every column that a real one "
            f"fills, and draws nothing. {MANY:,} unfinished jobs beside {FEW}. On PostgreSQL with its usual "
            f"settings, drivers are processes whose worker sleeps {SLEEP * 1000:.0f} ms a picture, "
            f"{SHARE} pictures each; Ray and Prefect are in none of it. Each figure once."
        ),
        remark=(
            "Thirty-two drivers, the server and whoever measures share the cores: what they reach there is "
            "bounded by the cores long before it is by the ledger."
        ),
    )


def _job(home: Path) -> tuple[Figure, ...]:
    order = farm_job.write_order(home, SHOTS)
    job_id, submit = farm_job.alone(farm_job.hand_in_order, home, order)
    beat = farm_job.alone(farm_job.heartbeat_seconds, home, job_id, WORKERS)
    first = farm_job.alone(farm_job.drive, home, job_id, SHOTS // 2)
    resume = farm_job.alone(farm_job.resume_seconds, home, job_id)
    rest = farm_job.alone(farm_job.drive, home, job_id, SHOTS - first.pictures)
    asked = farm_job.alone(farm_job.ask_everything, home, job_id, SHOTS)
    growth = max(part.end_mb - part.warm_mb for part in (first, rest))
    *looks, (report, report_seconds) = asked.items()
    return (
        at_most("", f"submitting {SHOTS:,} shots: read, plan, gate, ledger", submit, 20.0, "s"),
        at_most("", f"growth of the driver from {farm_job.WARM:,} pictures to its end", growth, 50.0, "MB"),
        plain("the most a driver ever held, judging the pictures included", rest.peak_mb, "MB"),
        at_most("", "resuming at half: reopen, reclaim, read the plan, lease", resume, 2.0, "s"),
        at_most("", "picking a lease, last / first", rest.pick_last / first.pick_first, 2.0),
        plain("picking a lease at the start", first.pick_first * 1000, "ms"),
        plain("leased, answered and settled", SHOTS / (first.seconds + rest.seconds), "pictures/s"),
        plain("of those, a chunk", (first.seconds + rest.seconds) / (first.chunks + rest.chunks), "s"),
        plain(f"heartbeat of a driver of {WORKERS:,} workers", beat * 1000, "ms"),
        plain("the ledger's file", farm_job.ledger_bytes(home) / SHOTS, "bytes a shot"),
        *(at_most("", f"{name}, of {SHOTS:,}", seconds, 0.5, "s") for name, seconds in looks),
        at_most("", report, report_seconds, 60.0, "s"),
    )


def _queue(few: Queue, many: Queue) -> tuple[Figure, ...]:
    told = f"{MANY:,} jobs / {FEW}"
    return (
        at_most("", f"leasing a chunk, {told}", many.lease / few.lease, 2.0),
        at_most("", f"listing the newest ten, {told}", many.listing / few.listing, 2.0),
        plain(f"counting the work of {MANY:,} jobs", many.counting * 1000, "ms"),
        plain(f"choosing among {FEW} drivers that ask for one fleet", few.choice * 1000, "ms"),
        plain(f"choosing among {MANY:,}", many.choice * 1000, "ms"),
    )


def _raced(url: str, drivers: int, first_seed: int, jobs: int = 1) -> Race:
    return race(
        url, drivers=drivers, jobs=jobs, shots=SHARE * drivers // jobs, seconds=SLEEP, first_seed=first_seed
    )


def _drivers(races: list[Race], jobs: Race) -> tuple[Figure, ...]:
    wrong = sum(one.lost + one.doubled for one in (*races, jobs))
    few, some, many = races
    return (
        Figure(
            id="", name="shots lost or made twice", value=wrong, unit="shots", target="= 0", met=wrong == 0
        ),
        *(plain(f"{one.drivers} drivers of one job", one.rate, "pictures/s") for one in races),
        plain(f"{jobs.drivers} drivers of {jobs.jobs} jobs", jobs.rate, "pictures/s"),
        at_least(
            "", f"{some.drivers} drivers / {some.drivers} times one", some.rate / few.rate / some.drivers, 0.8
        ),
        plain(
            f"{many.drivers} drivers / {many.drivers} times one", many.rate / few.rate / many.drivers, "ratio"
        ),
        plain(
            f"what PostgreSQL refused of {many.drivers} drivers, tried again",
            many.refused.total() + jobs.refused.total(),
            "statements",
        ),
        plain(f"commits of {many.drivers} drivers", many.transactions / many.seconds, "a second"),
        plain("commits a chunk, heartbeats included", many.transactions / many.chunks, "commits"),
        plain("sessions that waited for a lock of another", many.waiting, "on the average"),
    )
