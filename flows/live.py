"""Live sessions, from a wish to the end of the record: each a step that is over at once.

One session is one stack and one verdict: it is planned at tier live and judged before a renderer
is reserved, and what its renderer attested when it loaded the stack is on record before the first
frame leaves. What was delivered is written down segment by segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.bootstrap import House
from flows.holders import own_holder
from flows.planning import (
    Overrides,
    PlanningView,
    apply_overrides,
    native_size,
    plan_order,
    shelf_of,
)
from flows.stages import stage
from flows.submitting import refuse_order, require_permitted
from flows.tasks import make_template
from policy.canvas import FROM_A_SKETCH, CanvasLoad, CanvasOpened, canvas_steps
from policy.gates import require
from policy.manifest import LoraRequest, RenderManifest, Shot
from policy.methods import MethodPreset
from policy.plan import Decision, ExecutionPlan, PlanRefusal
from policy.quarantine import quarantined
from policy.refusals import is_wrong_order, refuse
from policy.segments import Segment
from policy.streams import StreamSettings, stream_settings
from policy.tiers import Rung, ServiceLevel, ServiceTier
from policy.uses import IntendedUse
from policy.verdicts import Verdict
from registry.live_records import LiveDraft, LiveSession
from registry.unit_of_work import UnitOfWork, unit_of_work
from workers.renderer import RendererKind, runtime_versions

CANVAS_FPS = 10.0  # of a canvas where nobody asked for another
PROCESS_ENDED = "the process that answered it ended"


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveOrder:
    """What somebody wants to see live."""

    model: str
    prompt: str
    recipient: str
    loras: tuple[LoraRequest, ...] = ()
    method: str | None = None
    steps: int | None = None
    size: tuple[int, int] | None = None  # width and height; None: what the method was trained at
    fps: float | None = None  # at which frames are wanted; None: the rate of a stream, or CANVAS_FPS
    media_type: str = "image/webp"


@dataclass(frozen=True, kw_only=True)
class PlannedLive:
    """A session that the gate let through, before any renderer knows of it."""

    order: LiveOrder
    plan: ExecutionPlan
    canvas: CanvasLoad

    @property
    def decision(self) -> Decision:
        return self.plan.decisions[0]


@stage("plan")
def plan_live(house: House, order: LiveOrder) -> PlannedLive | PlanRefusal:
    """Plan a session at tier live and ask the gate; a refusal is audited and nothing else.

    Refused where the gate says no to what the planner chose.
    """
    planned = planned_live(house, order)
    if isinstance(planned, PlanRefusal):
        if not is_wrong_order(planned):
            refuse_order(house, _manifest_of(house, order), planned)
        return planned
    require_permitted(house, planned.plan)
    return planned


def planned_live(house: House, order: LiveOrder) -> PlannedLive | PlanRefusal:
    """What a session would run on; nothing is written, whatever comes of it."""
    with unit_of_work(house.engine, read_only=True) as work:
        registry, costs = house.registry.at(work), house.costs.at(work)
    view = PlanningView(shelf=shelf_of(house, registry), costs=costs)
    plan = plan_order(house, _manifest_of(house, order), view)
    if isinstance(plan, PlanRefusal):
        return plan
    refusal = _no_frames(plan.decisions[0])
    if refusal is not None:
        return refusal
    roots = {model.pin.pin_id: model.root for model in view.shelf.models.values()}
    return PlannedLive(order=order, plan=plan, canvas=_canvas_of(house, order, plan.decisions[0], roots))


def warm_canvas(house: House) -> CanvasLoad | None:
    """What the first of the warm models that can be live would run on; None where none can."""
    for model in house.settings.serve_warm:
        order = LiveOrder(model=model, prompt="", recipient="")
        planned = planned_live(house, order)
        if isinstance(planned, PlannedLive):
            return planned.canvas
    return None


def _manifest_of(house: House, order: LiveOrder) -> RenderManifest:
    streams = _streaming(house, order)
    width, height = order.size or (streams and streams.size) or native_size(house, order.model)
    shot = Shot(
        name="canvas",
        prompt=order.prompt,
        model=order.model,
        loras=order.loras,
        width=width,
        height=height,
        frames=1 if streams is None else streams.frames,
        steps=order.steps,
        method=order.method,
    )
    manifest = RenderManifest(
        name="live",
        shots=(shot,),
        service=ServiceLevel(tier=ServiceTier.LIVE),
        use=IntendedUse(act=house.settings.serve_use),
        owner=house.settings.actor,
        recipients=(order.recipient,),
    )
    return apply_overrides(house, manifest, Overrides())


def _streaming(house: House, order: LiveOrder) -> MethodPreset | None:
    """A causal method that is published for the model, whose size and length stand for its streams."""
    return next(
        (
            preset
            for preset in house.catalogue.presets
            if preset.rung is Rung.CAUSAL
            and order.model in preset.base
            and order.method in (None, preset.name)
        ),
        None,
    )


def _no_frames(decision: Decision) -> PlanRefusal | None:
    """Why what the planner chose makes no live frames; None where it does."""
    preset = decision.offer.preset
    if preset.rung is Rung.CAUSAL:
        settings = stream_settings(preset, decision.steps)
        if isinstance(settings, StreamSettings):
            return None
        told = f"{preset.name} cannot be streamed here: {settings.told}"
        return refuse("no_stream", told, "Name another method.")
    allowed = canvas_steps(preset)
    if preset.pipeline not in FROM_A_SKETCH or decision.rows_per_picture != 1:
        return refuse(
            "no_canvas",
            f"{preset.name} draws from no sketch: the live canvas takes {' and '.join(FROM_A_SKETCH)} "
            "without guidance.",
            "Ask for rightstep/emoji-64.",
        )
    if decision.steps in allowed:
        return None
    told = ", ".join(map(str, allowed)) or "none"
    return refuse(
        "too_many_steps",
        f"{decision.steps} steps of {preset.name} are too many for the live canvas: it runs {told}.",
        "Leave steps out, or ask for fewer.",
    )


def _canvas_of(house: House, order: LiveOrder, decision: Decision, roots: dict[str, str]) -> CanvasLoad:
    preset, template = decision.offer.preset, make_template(decision, roots, ())
    stream = template.stream
    return CanvasLoad(
        load=template.load,
        preset=preset.name,
        preset_version=preset.version,
        scheduler=preset.scheduler,
        schedules=preset.schedules,
        steps=canvas_steps(preset) if stream is None else (decision.steps,),
        default_steps=decision.steps,
        guidance=decision.guidance,
        call=preset.call,
        width=decision.width,
        height=decision.height,
        fps=order.fps or (CANVAS_FPS if stream is None else float(stream.frame_rate)),
        media_type=order.media_type,
        stream=stream,
        runtime=runtime_versions(RendererKind(house.settings.renderer)),
    )


def begin_live(house: House, planned: PlannedLive, opened: CanvasOpened) -> LiveSession:
    """Put a session on record, with what its renderer attested.

    Refused where a part of its stack was withdrawn meanwhile.
    """
    decision = planned.decision
    draft = LiveDraft(
        actor=house.settings.actor,
        recipient=planned.order.recipient,
        act=planned.plan.manifest.use.act.value,
        plan_hash=planned.plan.plan_hash,
        stack=decision.offer.stack,
        method=decision.offer.preset.name,
        worker=opened.worker,
        holder=own_holder(),
        loaded=opened.loaded,
    )
    with unit_of_work(house.engine) as work:
        require(_as_revoked(planned, work))
        session = work.live.begin(draft, house.clock())
        work.commit()
    return session


def may_go_on(house: House, planned: PlannedLive) -> bool:
    """Whether nothing that a session runs on was withdrawn since it began."""
    with unit_of_work(house.engine, read_only=True) as work:
        return _as_revoked(planned, work).is_permit


def _as_revoked(planned: PlannedLive, work: UnitOfWork) -> Verdict:
    """The one verdict of a session, with what was withdrawn since."""
    offer = planned.decision.offer
    return quarantined(offer.verdict, offer.stack.pins, work.revocations.all())


def note_segments(house: House, session: LiveSession, segments: Sequence[Segment]) -> None:
    """Write down what was delivered."""
    with unit_of_work(house.engine) as work:
        for segment in segments:
            work.live.note(session, segment, house.clock())
        work.commit()


def end_live(
    house: House, session: LiveSession, because: str, segments: Sequence[Segment] = (), *, dropped: int = 0
) -> LiveSession:
    """Write down the last of what was delivered, and why the session is over."""
    with unit_of_work(house.engine) as work:
        for segment in segments:
            work.live.note(session, segment, house.clock())
        ended = work.live.end(session.session_id, because, house.clock(), dropped=dropped)
        work.commit()
    return ended


def end_orphans(house: House) -> int:
    """End sessions whose process ended without a word; to be asked before the first session is begun."""
    with unit_of_work(house.engine, read_only=True) as work:
        left = work.live.open_ones()
    for session in left:
        end_live(house, session, PROCESS_ENDED)
    return len(left)
