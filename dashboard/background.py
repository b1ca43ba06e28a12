"""Long calculations beside the callbacks: in a few processes that can be stopped, with progress and cancel.

A page puts ``place(id)`` where the result shall appear, and wires it with ``register(app, id, inputs, begin)``.
``begin`` gets the values of the inputs and returns what is to be shown, or ``Work``: functions to call in processes,
and how to draw what they return. What is quick arrives at once; else the place shows how far the work is, how long it
takes, and a button that stops it. Work that nobody waits for any more, since the page was left or its selection
changed, is stopped.

Functions and their arguments are sent to other processes: functions stand in modules, arguments are frames and plain
values. Nothing of the store goes there.
"""

from __future__ import annotations

import atexit
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from battery_analysis.processes import Processes
from dashboard import data, parts

if TYPE_CHECKING:
    from pebble import ProcessFuture

PROCESSES = 2
"""At most; fewer where the settings say so."""
MOST_SECONDS = 900
MOST_JOBS = 50
MEMORY_BYTES = 6 << 30
TASKS_PER_PROCESS = 200

QUICK_SECONDS = 1.5
"""What is done sooner arrives without a word of waiting."""
LOOK_MILLISECONDS = 2_000
DESERTED_SECONDS = 30
"""Work whose place has not asked for so long is stopped."""

Task: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a module, and its arguments."""


@dataclass(frozen=True)
class Work:
    """What is to be calculated, and how its results are drawn."""

    title: str
    """What it is, for those who wait."""
    tasks: Sequence[Task]
    draw: Callable[[list[Any]], Component]
    """Draws the results, in the order of the tasks; called in a callback."""
    tolerant: bool = False
    """Whether ``draw`` gets the ``AnalysisError`` of a task in place of its result, instead of nothing being drawn."""


@dataclass
class Job:
    """Work under way."""

    work: Work
    futures: list[ProcessFuture[Any]]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.monotonic)
    asked: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """How many of its tasks are done."""
        return sum(future.done() for future in self.futures)

    @property
    def seconds(self) -> float:
        """For how long it has been under way."""
        return time.monotonic() - self.started

    def wait(self, seconds: float) -> bool:
        """Wait for the end, but no longer than this, and say whether it is done."""
        return not wait(self.futures, seconds).not_done

    def results(self) -> list[Any]:
        """Return what the tasks returned; of tolerant work also the ``AnalysisError`` of a task in its place.

        Raises:
            AnalysisError: It was cancelled, took too long, or its process died.
            Exception: What a task raised.
        """
        return [self._result(future) for future in self.futures]

    def _result(self, future: ProcessFuture[Any]) -> Any:
        from pebble import ProcessExpired

        try:
            return future.result()
        except AnalysisError as exc:
            if self.work.tolerant:
                return exc
            raise
        except CancelledError as exc:
            raise AnalysisError(f"{self.work.title}: cancelled") from exc
        except FutureTimeoutError as exc:
            raise AnalysisError(f"{self.work.title}: not done within {MOST_SECONDS // 60} min") from exc
        except (ProcessExpired, MemoryError) as exc:
            raise AnalysisError(
                f"{self.work.title}: its process died or took more than {MEMORY_BYTES >> 30} GiB"
            ) from exc

    def cancel(self) -> None:
        """Stop it, wherever it is."""
        for future in self.futures:
            future.cancel()


class _Workshop:
    """The processes and the jobs of this server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: Processes | None = None
        self._jobs: dict[str, Job] = {}
        self._attendant: threading.Thread | None = None

    def start(self, work: Work) -> Job:
        """Begin work.

        Raises:
            AnalysisError: Too much is under way.
        """
        with self._lock:
            self._sweep()
            if len(self._jobs) >= MOST_JOBS:
                raise AnalysisError(f"{work.title}: {MOST_JOBS} calculations are under way already; try again later")
            job = Job(work, [self._schedule(*task) for task in work.tasks])
            self._jobs[job.id] = job
            if self._attendant is None:
                self._attendant = threading.Thread(target=self._attend, name="deserted-work", daemon=True)
                self._attendant.start()
            return job

    def get(self, id: str | None) -> Job | None:
        """Return a job that is under way, and note that somebody waits for it."""
        with self._lock:
            job = self._jobs.get(id or "")
            if job is not None:
                job.asked = time.monotonic()
            return job

    def take(self, id: str | None) -> Job | None:
        """Return a job that is drawn or stopped now; nobody finds it any more."""
        with self._lock:
            return self._jobs.pop(id or "", None)

    def _attend(self) -> None:
        """Stop what is deserted, for as long as there is work."""
        while True:
            time.sleep(DESERTED_SECONDS)
            with self._lock:
                self._sweep()
                if not self._jobs:
                    self._attendant = None
                    return

    def _sweep(self) -> None:
        latest = time.monotonic() - DESERTED_SECONDS
        for job in [each for each in self._jobs.values() if each.asked < latest]:
            job.cancel()
            del self._jobs[job.id]

    def _schedule(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> ProcessFuture[Any]:
        if self._processes is None:
            most = min(PROCESSES, data.settings().workers)
            self._processes = Processes(most, MEMORY_BYTES, TASKS_PER_PROCESS)
            atexit.register(self.close)
        return self._processes.schedule(function, arguments, MOST_SECONDS)

    def close(self) -> None:
        """Stop the processes."""
        if self._processes is not None:
            self._processes.close()


_workshop = _Workshop()


# The place on a page.


def place(id: str) -> Component:
    """Return where results of work appear."""
    stop = parts.button("Cancel", _id("cancel", id), hidden=True)
    again = parts.button("Calculate again", _id("again", id), hidden=True)
    return html.Div(
        [
            html.Div(id=_id("shown", id), className="page", **{"aria-live": "polite"}),
            html.Div([stop, again], className="actions"),
            dcc.Store(id=_id("job", id)),
            dcc.Interval(id=_id("tick", id), interval=LOOK_MILLISECONDS, disabled=True),
        ],
        className="work",
    )


def register(
    app: Dash, id: str, inputs: Sequence[Any], begin: Callable[..., Work | Component | Sequence[Component]]
) -> None:
    """Wire a place.

    Args:
        app: The application.
        id: The place's word.
        inputs: ``Input`` and ``State`` whose values ``begin`` gets; it is called when the page opens, too.
        begin: Returns what to show, or work to do first; what it raises is shown in the place.
    """
    outputs = [
        Output(_id("shown", id), "children"),
        Output(_id("job", id), "data"),
        Output(_id("tick", id), "disabled"),
        Output(_id("cancel", id), "hidden"),
        Output(_id("again", id), "hidden"),
    ]
    again = [Output(each.component_id, each.component_property, allow_duplicate=True) for each in outputs]
    under_way = State(_id("job", id), "data")

    def started(_: int | None, before: str | None, *values: Any) -> tuple[Any, ...]:
        if (deserted := _workshop.take(before)) is not None:
            deserted.cancel()
        wanted = begin(*values)
        if not isinstance(wanted, Work):
            return _finished(wanted)
        job = _workshop.start(wanted)
        job.wait(QUICK_SECONDS)
        return _state(job)

    app.callback(*outputs, Input(_id("again", id), "n_clicks"), under_way, *inputs, on_error=_failed)(started)
    app.callback(*again, Input(_id("tick", id), "n_intervals"), under_way, prevent_initial_call=True, on_error=_failed)(
        _looked
    )
    app.callback(*again, Input(_id("cancel", id), "n_clicks"), under_way, prevent_initial_call=True, on_error=_failed)(
        _cancelled
    )


def _looked(_: int | None, id: str | None) -> tuple[Any, ...]:
    if id is None:
        return (no_update,) * 5
    job = _workshop.get(id)
    if job is None:
        return _finished(parts.empty("This calculation is gone: the server was started anew."), offer=True)
    return _state(job)


def _cancelled(clicks: int | None, id: str | None) -> tuple[Any, ...]:
    job = _workshop.take(id)
    if not clicks or job is None:
        return (no_update,) * 5
    job.cancel()
    return _finished(parts.empty(f"{job.work.title}: cancelled after {parts.duration(job.seconds)}."), offer=True)


def _state(job: Job) -> tuple[Any, ...]:
    """Return results once they are there, else how far they are."""
    if job.done == len(job.futures):
        _workshop.take(job.id)
        return _finished(job.work.draw(job.results()))
    return _progress(job), job.id, False, False, True


def _progress(job: Job) -> Component:
    total = len(job.futures)
    several = f"{job.done} of {total} done, " if total > 1 else ""
    bar = html.Progress(value=str(job.done), max=str(total)) if total > 1 else html.Progress()
    label = html.Label([html.Span(f"{job.work.title} …"), bar], className="progress-line")
    return html.Div([label, html.P(f"{several}{parts.duration(job.seconds)}", className="hint")], className="empty")


def _finished(shown: Any, *, offer: bool = False) -> tuple[Any, ...]:
    return shown, None, True, True, not offer


def _failed(error: Exception) -> tuple[Any, ...]:
    parts.log(error, "a calculation failed")
    return _finished(parts.problem(error))


def _id(what: str, place_id: str) -> str:
    return f"{place_id}-work-{what}"
