"""Records boards of the real product, live and in trouble: `python -m tests.e2e.record_boards [--modes M,M]`.

Each is a frame of `/v1/live`, written to `tests/support/boards/NAME.json`; tests of the page show them without servers.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from modes import running
from modes.catalogue import MODES
from modes.settings import Settings
from tests.support.boards import FOLDER
from tests.support.product import run, started
from tests.support.servers import free_port
from tests.support.waiting import until

Board = dict[str, Any]


def save(name: str, board: Board) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(board, separators=(",", ":")) + "\n")
    print(name, [fault["what"] for fault in board["faults"]], flush=True)


def first(address: str, fits: Callable[[Board], bool], within_s: float = 60) -> Board:
    """The first board that fits."""
    found: list[Board] = []
    end = time.monotonic() + within_s

    def look() -> bool:
        try:
            with httpx.stream("GET", f"{address}/v1/live", timeout=within_s) as response:
                for line in response.iter_lines():
                    if time.monotonic() > end:
                        return False
                    if line.startswith("data: "):
                        found.append(json.loads(line[6:]))
                        if fits(found[-1]):
                            return True
        except httpx.HTTPError:
            pass
        return False

    until(look, within_s=within_s, what="a board that fits")
    return found[-1]


def down(name: str) -> Callable[[Board], bool]:
    return lambda board: any(part["name"] == name and part["state"] == "down" for part in board["parts"])


def well(board: Board) -> bool:
    # a batch view alone is always behind
    return board["audit"] in {"exact", "behind"} and not board["faults"] and board["totals"]["clicks"] > 5_000


def record(mode: str) -> None:
    with tempfile.TemporaryDirectory(prefix="fourfold-") as directory:
        settings = Settings(mode=mode, data_dir=Path(directory), batch_seconds=10, api_port=free_port(), _env_file=None)

        def pid(kind: str, name: str) -> int:
            found: Any = running.read(settings.data_dir)
            return next(entry["pid"] for entry in found[kind] if entry["name"].startswith(name))

        with started(settings, "up", "--rate", "800", "--plain"):
            address = until(lambda: (running.read(settings.data_dir) or {}).get("api"), within_s=90, what="the API")
            save(f"{mode}-starting", first(address, lambda _: True))
            save(f"{mode}-live", first(address, lambda board: well(board) and board.get("version") != 1))
            if MODES[mode].job_versions:
                done = run(settings, "replay", "start", "--as", "v2", "--logic", "price-only")
                assert done.returncode == 0, done.stderr
                save(f"{mode}-replay", first(address, lambda board: len(board["jobs"]) > 1 and well(board)))
            if mode != "lambda":
                return
            os.kill(pid("roles", "process"), signal.SIGKILL)
            save("lambda-worker-ended", first(address, down("process")))
            first(address, well)
            for server in ("kafka", "redis"):
                found = pid("servers", server)
                os.kill(found, signal.SIGSTOP)
                try:
                    save(f"lambda-{server}-silent", first(address, down(server)))
                finally:
                    os.kill(found, signal.SIGCONT)
                first(address, well)
            os.kill(pid("servers", "kafka"), signal.SIGKILL)
            save("lambda-kafka-ended", first(address, down("kafka")))


def main() -> None:
    """Records them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", default=",".join(MODES), help="(%(default)s)")
    for mode in parser.parse_args().modes.split(","):
        record(mode)


if __name__ == "__main__":
    main()
