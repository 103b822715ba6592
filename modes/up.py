"""`fourfold up`: starts what the mode needs, shows the counts, and stops it all again."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import Any, Final

from adapters.embedded.keeper import Keeper, KeptServer
from adapters.listening import Place, TakenError
from adapters.vitals import Vitals
from core.errors import UnavailableError
from core.secrets import without_password
from modes import running
from modes.crew import Crew
from modes.fork_server import ForkServer
from modes.pipelines import pipeline_of
from modes.running import reason_of
from modes.settings import Settings
from modes.supervisor import TICK_S, Child, Supervisor
from modes.verdict import judge, verdict_lines
from modes.wiring.answers import live_truth, merge
from modes.wiring.kafka import wait_for_topics
from modes.wiring.servers import kept_servers
from modes.wiring.speed import check_redis
from serving.answer import Answer
from serving.console import StreamConsole
from serving.harmless import safe
from serving.live import Live, Picture
from serving.measures import headlines, shown_measures
from serving.parts import Moment, standing
from serving.plain import line, opening, totals_text
from serving.screen import Screen
from serving.terminal import draw
from serving.verify import Verdict

LINE_EVERY_S = 2.0
#: After the producers' end the view may take so long to catch up.
CATCH_UP_S = 120.0
#: What was started is stopped within this, after a thread of this process has died.
BOUND_S = 60.0
#: Batch cycles of a bounded run are at least so long.
MIN_CYCLE_S = 3.0
#: Free ports that are asked for, where others take them meanwhile.
_TRIES: Final = 5
#: Why a part does not run is told in so many characters.
REASON_WIDTH = 160


class Up:
    """One run of everything that the mode needs."""

    def __init__(self, settings: Settings, console: StreamConsole, *, plain: bool, duration_s: float | None) -> None:
        self._settings = settings
        self._console = console
        self._plain = plain
        self._duration_s = duration_s
        self._stop = threading.Event()
        self._unread = False
        self._began = time.monotonic()

    def run(self) -> int:
        """Runs until Ctrl-C, SIGTERM or the end of the duration. The exit code.

        Raises `FourfoldError` where it cannot start or a role cannot go on.
        """
        handlers = {n: signal.signal(n, self._on_signal) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            with ExitStack() as stack:
                return self._run(stack)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _run(self, stack: ExitStack) -> int:
        settings = self._settings
        # an unbuilt mode must say so before anything is started
        _ = settings.mode_row
        pipeline = pipeline_of(settings)
        # it loads while Kafka starts
        launcher = stack.enter_context(ForkServer.for_roles(settings.mode_row.roles))
        # what nobody can listen on is told before anything is started
        api_port(settings)
        replace(settings.metrics, port=0).free_port()
        stack.enter_context(running.only_one(settings.data_dir))
        vitals = Vitals()
        stack.enter_context(vitals.running(self._stop.set, bound_s=BOUND_S))
        settings, keeper = stack.enter_context(kept_servers(settings, self._say))
        if self._stop.is_set():
            return 1 if self._unread else 130
        check_redis(settings)
        wait_for_topics(settings)
        settings = settings.model_copy(update={"api_port": stack.enter_context(claimed_api_port(settings))})
        bounded = self._duration_s
        crew = Crew(
            settings,
            produce=[] if bounded is None else ["--duration", str(bounded)],
            batch_every=_batch_every(settings, bounded),
            launcher=launcher,
        )
        stack.enter_context(crew).start()
        watching = stack.enter_context(ExitStack())
        truth = watching.enter_context(live_truth(settings))
        source = merge(settings, whole=False)
        stack.callback(source.close)
        live = Live(source, truth, pipeline)
        self._say(
            f"started in {time.monotonic() - self._began:.1f} s: Kafka {settings.kafka}, Redis {without_password(settings.redis)}"
        )
        for words in (
            opening(settings.mode, f"{api_of(settings)}/") if self._plain else (f"dashboard: {api_of(settings)}/",)
        ):
            self._say(words)
        picture = self._watch(crew, keeper, live)
        vitals.check()
        interrupted = self._stop.is_set()
        crew.supervisor.stop()
        if self._unread:
            return 1
        if interrupted and self._duration_s is None:
            self._console.print(
                f"stopped. {line(picture, headlines(shown_measures(pipeline)), settings.mode)}", highlight=False
            )
            self._console.print("Counts are kept: the next start goes on from here.", highlight=False)
            return 130
        watching.close()
        return self._conclude(settings, keeper)

    def _watch(self, crew: Crew, keeper: Keeper, live: Live) -> Picture:
        settings, producer = crew.settings, crew.producer
        show, close = self._shown(settings)
        picture = Picture(pipeline_of(settings).zero)
        began, end = time.monotonic(), None
        try:
            while not self._stop.is_set():
                crew.tick()
                kept = keeper.states()
                running.write(settings.data_dir, settings.mode, crew.supervisor.children, api_of(settings), kept)
                picture = live.look()
                show(picture, [*roles_of(crew.supervisor), *servers_of(kept)])
                crew.check()
                keeper.check()
                if self._duration_s is not None and producer is None:
                    if time.monotonic() > began + self._duration_s:
                        break
                elif self._duration_s is not None and producer is not None:
                    if producer.state == "done":
                        end = end or time.monotonic() + CATCH_UP_S
                        if picture.lag == 0 and not picture.trouble:
                            break
                    self._check_time(end or began + self._duration_s + CATCH_UP_S, producer, picture)
                self._stop.wait(TICK_S)
        finally:
            close()
        return picture

    def _check_time(self, end: float, producer: Child, picture: Picture) -> None:
        """Raises `UnavailableError` where a run with a duration has not ended by `end`."""
        if time.monotonic() < end:
            return
        logs = self._settings.data_dir / "logs"
        if producer.state != "done":
            raise UnavailableError(
                f"the producers have not ended {CATCH_UP_S:g} s after they should have ({producer.restarts} restarts): "
                f"{producer.last_words() or 'they say nothing'}; see the logs in {logs}"
            )
        raise UnavailableError(
            f"the view is still {picture.lag or '?'} records behind after {CATCH_UP_S:g} s: see the logs in {logs}"
        )

    def _shown(self, settings: Settings) -> tuple[Callable[[Picture, list[tuple[str, str]]], None], Callable[[], None]]:
        pipeline = pipeline_of(settings)
        if self._plain:
            next_line, shown = 0.0, headlines(shown_measures(pipeline))

            def show_line(picture: Picture, roles: list[tuple[str, str]]) -> None:
                nonlocal next_line
                if time.monotonic() >= next_line:
                    next_line = time.monotonic() + LINE_EVERY_S
                    down = [f"{name} {state}" for name, state in roles if state not in ("up", "done")]
                    print(
                        line(picture, shown, settings.mode, [*down, *standing(moment_of(settings, picture))]),
                        flush=True,
                    )

            return show_line, lambda: None
        screen = Screen(self._console)
        hint = f"Ctrl-C stops everything; counts are kept.  Dashboard {api_of(settings)}/"

        def show(picture: Picture, roles: list[tuple[str, str]]) -> None:
            screen.show(
                lambda width, height: draw(
                    picture, pipeline, title_of(settings), roles, hint, width=width, height=height
                )
            )

        return show, screen.close

    def _conclude(self, settings: Settings, keeper: Keeper) -> int:
        """Verifies what is in the store, with the servers still up, or up again."""
        answer, verdict = self._judged(settings, keeper)
        print(totals_text(answer.total, shown_measures(pipeline_of(settings))))
        print("\n".join(verdict_lines(verdict, answer)), flush=True)
        return 0 if verdict.exact else 1

    def _judged(self, settings: Settings, keeper: Keeper) -> tuple[Answer, Verdict]:
        end = time.monotonic() + CATCH_UP_S
        while True:
            try:
                return judge(settings)
            except UnavailableError:
                keeper.check()
                if self._stop.is_set() or keeper.well or time.monotonic() > end:
                    raise
            while not (keeper.well or self._stop.wait(TICK_S)):
                keeper.check()

    def _say(self, message: str) -> None:
        try:
            self._console.print(message, style="dim", markup=False)
        except BrokenPipeError:
            # in whichever thread: nobody reads on
            self._unread = True
            self._stop.set()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()


def moment_of(settings: Settings, picture: Picture) -> Moment:
    """What there is to say of the parts of the mode."""
    row = settings.mode_row
    return Moment(row.roles, picture, settings.batch_seconds if row.batch_view else 0.0)


def title_of(settings: Settings) -> str:
    """The heading of a live view."""
    return f"fourfold · {settings.mode} · view {settings.view}"


def api_of(settings: Settings) -> str:
    """The API's address for people."""
    return settings.api_address.rstrip("/") or settings.api.url


def api_port(settings: Settings) -> int:
    """The API's port; a free one where that is asked for, or where somebody else has the usual one.

    Raises `ConfigurationError` where nothing can listen at the API's host, or at a port that was asked for.
    """
    with claimed_api_port(settings) as port:
        return port


@contextmanager
def claimed_api_port(settings: Settings) -> Iterator[int]:
    """As `api_port`, and while the context lasts no other `up` of this machine takes it for free.

    It takes seconds until the API listens there. The UDP port of the same number says meanwhile that it is taken: the
    system gives that to one, and takes it back whenever that ends.
    """
    place = settings.api
    if "api_port" in settings.model_fields_set and settings.api_port:
        # asked for by name
        yield place.free_port()
        return
    family, address = place.resolved()
    with socket.socket(family, socket.SOCK_DGRAM) as claim:
        yield _claimed(place, address, claim)


def _claimed(place: Place, address: Any, claim: socket.socket) -> int:
    """A free port, that of the place if it is free; `claim` is bound to its number. Raises as `Place.listener`."""
    for wanted in (place, *[replace(place, port=0)] * _TRIES):
        with suppress(TakenError):
            found = wanted.free_port()
            with suppress(OSError):
                claim.bind((address[0], found, *address[2:]))
                return found
    raise TakenError(f"no port of {place.plain_host} is free for the API: set FOURFOLD_API_PORT to one that is")


def _batch_every(settings: Settings, duration_s: float | None) -> float:
    """Seconds between batch cycles; short runs see some, too."""
    if duration_s is None:
        return settings.batch_seconds
    return min(settings.batch_seconds, max(MIN_CYCLE_S, duration_s / 4))


def roles_of(supervisor: Supervisor) -> list[tuple[str, str]]:
    """(name, state in words) of each child."""
    words = {"running": "up", "waiting": "restarting"}
    return [(c.name, _in_words(words.get(c.state, c.state), c.restarts, reason_of(c))) for c in supervisor.children]


def servers_of(kept: Sequence[KeptServer]) -> list[tuple[str, str]]:
    """(name, state in words) of each embedded server that is not just running."""
    words = {"running": "up"}
    return [
        (server.name, _in_words(words.get(server.state, server.state), server.restarts, server.reason))
        for server in kept
        if server.restarts or server.state != "running"
    ]


def _in_words(state: str, restarts: int, reason: str) -> str:
    often = f" (restarted {restarts}x)" if restarts else ""
    return f"{state}{often}: {safe(reason, REASON_WIDTH)}" if reason else f"{state}{often}"
