"""The writer of a speed view in Redis."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError

from adapters.speed.binding import check_binding, check_meaning, no_layout_before
from adapters.speed.increments import Packed, packed
from adapters.speed.keys import KINDS, LAYOUT, PARTITION, PartitionKeys, ViewKeys
from adapters.speed.merging import Found, largest_with, merged, refused, too_large
from adapters.speed.port import Outcome, Step
from adapters.speed.readable import PartitionTotals, readable
from adapters.speed.redis_errors import (
    Patience,
    ReplicaError,
    UnknownNameError,
    WrongServerError,
    explained,
    foreign,
    no_master,
)
from adapters.speed.redis_server import ServerWatch
from adapters.speed.scripts import script
from core.cells import LARGEST, CellOverflowError
from core.declaration.pipeline import Pipeline
from core.errors import ConfigurationError, FourfoldError, UnavailableError
from core.position import PartitionKey, Position
from core.rollup import Rollup
from core.rules import Rules

log = structlog.get_logger(__name__)

#: A partition's log is merged at the latest when it has this many new entries, or bytes of them.
MERGE_ENTRIES: Final = 128
MERGE_BYTES: Final = 1 << 20
#: And this many seconds after the first of them: sums that people read are at most a second old.
MERGE_AFTER_S: Final = 0.7
#: Entries that are merged stay for this many seconds, at most this many bytes of a partition: a reader that begins
#: needs some time for the blocks, and follows the log from where they end.
KEPT_S: Final = 20.0
KEPT_BYTES: Final = 4 << 20
#: Of merges in a row that fail, each of this number is said aloud.
_SAID_EACH: Final = 20
#: Times what writing readable counts takes, until it is done again.
_PAUSE: Final = 9.0
#: A partition's totals with what they stand for. KEYS: state, totals.
_TOTALS: Final = (
    "local state = redis.call('HMGET', KEYS[1], 'merged', 'floor') "
    "return {state[1], state[2], redis.call('HGETALL', KEYS[2])}"
)


@dataclass(slots=True)
class _Opened:
    """A partition as this sink opened it. `entries`, `size`, `epoch`: of what is not merged yet."""

    name: str
    keys: PartitionKeys
    bound: int
    entries: int
    size: int = 0
    epoch: int | None = None
    since: float = 0.0
    due: bool = False
    #: entries that this sink added, ever
    added: int = 0
    #: merges: when, up to which id, how many bytes of entries
    merges: deque[tuple[float, str, int]] = field(default_factory=deque)
    gone: str = "0-0"

    def trimmed(self, now: float) -> str:
        """The id up to which entries go: whoever follows them, or is about to, has had time for them."""
        while self.merges and (now - self.merges[0][0] > KEPT_S or sum(size for *_, size in self.merges) > KEPT_BYTES):
            self.gone = self.merges.popleft()[1]
        return self.gone


class _Script:
    """A script by its digest: one word on the way in place of its text."""

    def __init__(self, name: str, text: str = "") -> None:
        self.text = text or script(name)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_BEGIN, _REGISTER, _OPEN, _STEP, _CHECK, _MERGE, _PUBLISH = map(
    _Script, ("begin", "register", "open", "step", "check", "merge", "publish")
)


class RedisSink:
    """Applies steps to the view `namespace`, exactly once each."""

    def __init__(
        self,
        client: Redis,
        namespace: str,
        pipeline: Pipeline,
        patience: Patience | None = None,
        start: str = "",
        *,
        rollup: Rollup | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`start`: of the job version that this worker counts (`RedisJobs.start_of`), or "".

        `rollup`: how fine event time is kept where no epoch ever expires, and closed ones may be merged with each
        other; None where epochs do.
        """
        self._client = client
        self._meaning = pipeline.meaning
        self._measures = tuple(pipeline.measures)
        self._keys = ViewKeys(namespace)
        self._patience = patience or Patience()
        self._start = start
        self._rollup = rollup
        self._clock = clock
        self._sleep = sleep
        self._server = ServerWatch(speaks=True)
        #: of the view as it was begun last; "" before that
        self._born = ""
        self._opened: dict[PartitionKey, _Opened] = {}
        self._merging: asyncio.Task[None] | None = None
        self._timer: asyncio.Task[None] | None = None
        #: readable counts as they were written last
        self._published: dict[str, str] | None = None
        #: how often partitions were merged when they were written
        self._standing: list[Any] | None = None
        #: by which its readable counts are known
        self._name = uuid.uuid4().hex[:12]
        self._publish_at = float("-inf")
        self._closed = False
        #: merges in a row that were not possible
        self._failed = 0
        self._trouble: Exception | None = None

    async def begin(self, rules: Rules, identity: str) -> None:
        """See `SpeedSink.begin`."""
        await self._look()
        keys = [self._keys.view, self._keys.retired, self._keys.started, *self._keys.before]
        # a view of which nothing is lost but this keeps its partitions
        born = self._born or uuid.uuid4().hex[:12]
        wanted = (rules.encode(), identity)
        (answer,) = await self._run(_BEGIN, [(keys, [LAYOUT, *wanted, self._meaning, born, self._start])])
        self._raise_foreign(answer)
        if answer[0] == b"retired":
            raise ConfigurationError(f"the view {self._keys} was retired: nothing is counted for it any more")
        if answer[0] == b"before":
            raise no_layout_before(str(self._keys))
        layout, rules_text, identity_text, meaning, born = (part.decode() for part in answer[1:])
        if layout != LAYOUT:
            raise no_layout_before(str(self._keys))
        check_meaning(str(self._keys), meaning, self._meaning)
        check_binding(str(self._keys), (rules_text, identity_text), wanted)
        self._born = born

    async def positions(self, partitions: Iterable[PartitionKey]) -> dict[PartitionKey, str | None]:
        """See `SpeedSink.positions`."""
        wanted = list(partitions)
        self._opened = {}
        if not wanted:
            return {}
        if not self._born and not await self._asked(self._client.exists(self._keys.view)):
            raise UnavailableError(f"the view {self._keys} was not begun yet")
        calls = [(list(self._keys.of(each)), [self._born, uuid.uuid4().hex[:12]]) for each in wanted]
        found: dict[PartitionKey, str | None] = {}
        for partition, answer in zip(wanted, await self._run(_OPEN, calls), strict=True):
            self._raise_foreign(answer)
            name, position, bound, entries, lost = answer
            if lost:
                log.error(
                    "Redis lost a key of the view: counted again from the log",
                    view=str(self._keys), partition=str(partition), lost=lost.decode(),
                )  # fmt: skip
            found[partition] = position.decode() or None
            self._opened[partition] = _Opened(name.decode(), self._keys.of(partition), int(bound), int(entries))
        await self._register(wanted)
        await self._check_readable({p: text.encode() for p, text in found.items() if text is not None})
        return found

    async def all_positions(self) -> dict[PartitionKey, str]:
        """See `SpeedSink.all_positions`."""
        fields: dict[bytes, bytes] = await self._asked(self._client.hgetall(self._keys.view))
        partitions = self._keys.partitions_of(fields)
        if not partitions:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hget(self._keys.of(partition).state, "position")
        found = await self._asked(pipeline.execute())
        texts = {p: text for p, text in zip(partitions, found, strict=True) if text is not None}
        await self._check_readable(texts)
        return {partition: text.decode() for partition, text in texts.items()}

    async def apply(self, steps: Sequence[Step]) -> dict[PartitionKey, Outcome]:
        """See `SpeedSink.apply`."""
        self._raise_trouble()
        if any(step.partition not in self._opened for step in steps):
            return dict.fromkeys((step.partition for step in steps), Outcome.CONFLICT)
        # what they are now: partitions may be opened again meanwhile
        opened = [self._opened[step.partition] for step in steps]
        calls: list[tuple[list[str], list[Any]]] = []
        added: list[tuple[Packed, int, int]] = []
        for step, partition in zip(steps, opened, strict=True):
            try:
                adds = packed(step.delta, self._measures)
            except CellOverflowError as error:
                raise refused(error.where) from error
            bound = partition.bound + adds.largest
            if bound > LARGEST:
                bound = await self._bound(partition, step, adds)
            new = Position.decode(step.new)
            added.append((adds, bound, new.epoch))
            number = f"{new.next}-0"
            arguments = [partition.name, step.old, step.new, number, adds.cells, adds.users, step.floor, bound]
            calls.append((list(partition.keys), arguments))
        answers = await self._run(_STEP, calls, "take a step")
        outcomes: dict[PartitionKey, Outcome] = {}
        for step, partition, (adds, bound, epoch), answer in zip(steps, opened, added, answers, strict=True):
            self._raise_foreign(answer)
            if isinstance(answer, list):
                message = " ".join(part.decode(errors="replace") for part in answer[2:])
                raise await self._judged(explained(ResponseError(message), "take a step"))
            outcome = outcomes[step.partition] = Outcome(answer.split(b" ", 1)[0].decode())
            if outcome is not Outcome.CONFLICT:
                partition.bound = bound
            if outcome is Outcome.APPLIED:
                self._count(partition, adds, epoch)
        self._patience.well(ReplicaError)
        self._begin_merging()
        return outcomes

    async def check(self) -> str | None:
        """See `SpeedSink.check`."""
        await self._look(every_time=False)
        self._raise_trouble()
        if not self._opened:
            return None
        born = await self._asked(self._client.hget(self._keys.view, "born"))
        if born is None or born.decode() != self._born:
            return "the view was emptied, or begun again by another worker"
        known = list(self._opened.items())
        answers = await self._run(_CHECK, [(list(o.keys), [o.name]) for _, o in known])
        for (partition, _), answer in zip(known, answers, strict=True):
            self._raise_foreign(answer)
            if answer == b"gone":
                return f"the partition {partition} of the view was emptied, or opened again by another worker"
            if answer.startswith(b"damaged"):
                return f"Redis lost a key of the view: {answer.split(b' ', 1)[1].decode()} of {partition}"
        await self._register([partition for partition, _ in known])
        for _, opened in known:
            # what a floor passed is removed though nothing arrives
            opened.due = True
        self._begin_merging()
        return None

    async def settle(self) -> None:
        """Merges what is due now, and returns when that is done."""
        await self._end_merging()
        self._publish_at = float("-inf")
        for opened in self._opened.values():
            opened.due = True
        self._begin_merging()
        merging = self._merging
        if merging is not None:
            await merging
        self._raise_trouble()

    async def _end_merging(self) -> None:
        tasks = {task for task in (self._timer, self._merging) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._timer = self._merging = None

    async def close(self) -> None:
        """See `SpeedSink.close`."""
        self._closed = True
        await self._end_merging()
        await self._client.aclose()

    # --- merging ---

    def _count(self, opened: _Opened, adds: Packed, epoch: int) -> None:
        if not adds.cells:
            return
        if not opened.entries:
            opened.since = self._clock()
        opened.entries += 1
        opened.added += 1
        opened.size += len(adds.cells) + len(adds.users)
        if opened.epoch is None:
            opened.epoch = epoch
        if opened.entries >= MERGE_ENTRIES or opened.size >= MERGE_BYTES or epoch > opened.epoch:
            opened.due = True

    def _begin_merging(self) -> None:
        """Merges what is due; where nothing is yet, when its time comes, though nothing may arrive until then."""
        if self._closed:
            return
        if self._merging is not None and not self._merging.done():
            return
        if any(opened.due for opened in self._opened.values()):
            self._merging = asyncio.ensure_future(self._merge_all())
            self._merging.add_done_callback(self._merged)
        elif self._timer is None or self._timer.done():
            waiting = [opened.since for opened in self._opened.values() if opened.entries]
            if waiting:
                self._timer = asyncio.ensure_future(self._merge_later(min(waiting) + MERGE_AFTER_S - self._clock()))

    def _merged(self, task: asyncio.Task[None]) -> None:
        # what came meanwhile has its time, too
        if not task.cancelled() and not self._closed:
            self._begin_merging()

    async def _merge_later(self, after_s: float) -> None:
        await self._sleep(max(0.0, after_s))
        for opened in self._opened.values():
            opened.due = opened.due or bool(opened.entries)
        self._begin_merging()

    async def _merge_all(self) -> None:
        try:
            for opened in list(self._opened.values()):
                if opened.due:
                    opened.due = False
                    await self._merge(opened)
            await self._publish()
            self._failed = 0
        except UnavailableError as error:
            self._failed += 1
            # it passes, as a rule; where it lasts somebody must hear of it
            level = logging.WARNING if self._failed % _SAID_EACH == 0 else logging.DEBUG
            log.log(level, "cannot merge now", error=str(error))
            self._wait_again()
        except Exception as error:  # noqa: BLE001 - not swallowed: the next step raises it
            self._trouble = error
            self._wait_again()

    def _wait_again(self) -> None:
        # not at once: where Redis is away it would be asked without end
        for opened in self._opened.values():
            opened.since = self._clock()

    async def _merge(self, opened: _Opened) -> None:
        """Merges the log of a partition. A stale one is left to whoever has it now."""
        keys = opened.keys
        before = opened.added, opened.size
        # whatever comes of it, the next one has its time
        opened.since = self._clock()
        found = await self._found(opened)
        if found is None:
            return
        # what came while it was read is merged once more, which does no harm
        opened.entries, opened.size = opened.added - before[0], opened.size - before[1]
        opened.epoch = found.epoch
        try:
            plan = await asyncio.to_thread(merged, found, self._measures, self._rollup)
            if plan is None:
                return
            blocks = await self._fields(keys.blocks, plan.wanted)
            totals = await self._fields(keys.totals, plan.wanted_totals)
            if None in blocks or None in totals:
                return
            plan = await asyncio.to_thread(plan.made, blocks, totals)
        except CellOverflowError as error:
            raise too_large(error.where) from error
        except ValueError as error:
            raise foreign(keys.blocks, f"field that does not belong to a view ({error})") from error
        arguments = [opened.name, found.merged, *plan.arguments(opened.trimmed(self._clock()))]
        (answer,) = await self._run(_MERGE, [(list(keys), arguments)], "merge")
        if isinstance(answer, list):
            message = answer[2].decode(errors="replace")
            raise await self._judged(explained(ResponseError(message), "merge"))
        if answer == b"merged":
            opened.merges.append((self._clock(), plan.merged, before[1]))

    async def _fields(self, key: str, names: Sequence[str]) -> list[Any]:
        return list(await self._asked(self._client.hmget(key, names))) if names else []

    async def _publish(self) -> None:
        """Writes the readable counts, if this sink has the first of the view's partitions: one worker does.

        With very many values that takes long, and is done as seldom as it takes a tenth of the time.
        """
        began = self._clock()
        if began < self._publish_at:
            return
        try:
            await self._publish_now()
        finally:
            self._publish_at = self._clock() + _PAUSE * (self._clock() - began)

    async def _publish_now(self) -> None:
        view = await self._asked(self._client.hgetall(self._keys.view))
        partitions = self._keys.partitions_of(view)
        if not partitions or min(partitions) not in self._opened or view.get(b"born") != self._born.encode():
            return
        pipeline = self._client.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hmget(self._keys.of(partition).state, "opened", "merges", "floor")
        pipeline.exists(self._keys.counts)
        *standing, there = await self._asked(pipeline.execute())
        if standing == self._standing and there:
            return
        pipeline = self._client.pipeline(transaction=False)
        for partition in partitions:
            keys = self._keys.of(partition)
            pipeline.eval(_TOTALS, 2, keys.state, keys.totals)
        answers = await self._asked(pipeline.execute())
        parts = [
            PartitionTotals(partition, dict(zip(flat[::2], flat[1::2], strict=True)), merged_to, int(floor))
            for partition, (merged_to, floor, flat) in zip(partitions, answers, strict=True)
            if merged_to is not None and floor is not None
        ]
        fields = await asyncio.to_thread(readable, parts, self._measures)
        known = self._published if there else None
        changed = [part for pair in fields.items() if known is None or known.get(pair[0]) != pair[1] for part in pair]
        gone = [] if known is None else [name for name in known if name not in fields]
        how = "all" if known is None else "changed"
        arguments = [self._born, self._name, how, len(changed) // 2, *changed, *gone]
        (written,) = await self._run(_PUBLISH, [([self._keys.counts, self._keys.view], arguments)])
        self._published = fields if written else None
        self._standing = standing if written else None

    async def _found(self, opened: _Opened) -> Found | None:
        """What there is to merge; None where the partition is not as this sink opened it."""
        keys = opened.keys
        merged_to = await self._asked(self._client.hget(keys.state, "merged"))
        if merged_to is None:
            return None
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hgetall(keys.state)
        pipeline.xrange(keys.log, f"({merged_to.decode()}", "+")
        pipeline.hkeys(keys.blocks)
        pipeline.hkeys(keys.totals)
        state, entries, blocks, totals = await self._asked(pipeline.execute())
        if state.get(b"opened") != opened.name.encode() or state.get(b"merged") != merged_to or b"damaged" in state:
            return None
        return Found.of(state, entries, blocks, totals)

    async def _bound(self, opened: _Opened, step: Step, adds: Packed) -> int:
        """The largest of all totals after a step. Raises `RefusedError` where it passes 64 bits."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hmget(opened.keys.state, "merged", "position")
        pipeline.xrange(opened.keys.log)
        pipeline.hvals(opened.keys.blocks)
        (merged_to, position), entries, blocks = await self._asked(pipeline.execute())
        # where the answer to an earlier try was lost, it is there already
        cells = b"" if position == step.new.encode() else adds.cells
        try:
            return largest_with(merged_to or b"0-0", entries, blocks, {b"c": cells}, self._measures)
        except CellOverflowError as error:
            raise refused(error.where) from error

    # --- asking ---

    async def _register(self, partitions: Iterable[PartitionKey]) -> None:
        fields = [f"{PARTITION}{partition}" for partition in partitions]
        (entered,) = await self._run(_REGISTER, [([self._keys.view], [self._born, *fields])])
        if not entered:
            raise UnavailableError(f"the view {self._keys} was removed or begun again just now")

    async def _check_readable(self, texts: Mapping[PartitionKey, bytes]) -> None:
        """Raises `UnavailableError` where another hand wrote one: what the partition holds is not known any more."""
        for partition, text in texts.items():
            if not _readable(text):
                await self._asked(self._client.hset(self._keys.of(partition).state, "damaged", "state"))
                raise UnavailableError(
                    f"the position of {partition} of the view {self._keys} in Redis cannot be read: it begins again"
                )

    async def _look(self, *, every_time: bool = True) -> None:
        """Asks the server what it is. Raises `ConfigurationError` where it is wrong for good, or no master."""
        if not (every_time or self._server.due):
            return
        try:
            info: dict[str, Any] = await self._asked(self._client.info())
        except ConfigurationError as error:
            if not isinstance(error.__cause__, NoPermissionError):
                raise
            info = {}
        if self._server.take(info).replica:
            raise await self._judged(no_master())
        if info:
            self._patience.well(ReplicaError)

    async def _run(
        self, called: _Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]], doing: str = "answer"
    ) -> list[Any]:
        """Calls a script for several partitions in one round trip. An answer may be an error of a wrong type."""
        for _ in range(2):
            pipeline = self._client.pipeline(transaction=False)
            for keys, arguments in calls:
                pipeline.evalsha(called.sha, len(keys), *keys, *arguments)
            answers: list[Any] = await self._asked(pipeline.execute(raise_on_error=False), doing)
            if not any(isinstance(answer, NoScriptError) for answer in answers):
                break
            await self._asked(self._client.script_load(called.text))
        for answer in answers:
            if isinstance(answer, Exception) and "WRONGTYPE" not in str(answer):
                raise await self._judged(explained(answer, doing)) from answer
        return [
            await self._wrong_type(calls[number][0]) if isinstance(answer, Exception) else answer
            for number, answer in enumerate(answers)
        ]

    async def _wrong_type(self, keys: Sequence[str]) -> ConfigurationError:
        for key in keys:
            kind = await self._asked(self._client.type(key))
            wanted = KINDS.get(key.rsplit(":", 1)[-1], b"hash")
            if kind not in (wanted, b"none"):
                return foreign(key, kind.decode())
        return foreign(keys[0], "value of another type")

    @staticmethod
    def _raise_foreign(answer: Any) -> None:
        if isinstance(answer, ConfigurationError):
            raise answer

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble

    async def _asked(self, answer: Awaitable[Any], doing: str = "answer") -> Any:
        """The answer. Raises what its error means."""
        try:
            found = await answer
        except (RedisError, OSError) as error:
            if "WRONGTYPE" in str(error):
                opened = [key for each in self._opened.values() for key in each.keys]
                raise await self._wrong_type([self._keys.view, *opened]) from error
            raise await self._judged(explained(error, doing)) from error
        self._patience.well(UnknownNameError)
        return found

    async def _judged(self, error: FourfoldError) -> FourfoldError:
        if isinstance(error, WrongServerError):
            # the next try looks the address up again
            await self._client.connection_pool.disconnect(inuse_connections=False)
        return self._patience.judged(error)


def _readable(text: bytes) -> bool:
    try:
        Position.decode(text.decode())
    except ValueError:
        return False
    return True
