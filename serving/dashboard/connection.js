// The live stream: connects, says when nothing comes any more, and comes back by itself.

const SILENT_MS = 2000;
const PAUSES_MS = [250, 500, 1000, 2000, 4000];

export function connect(address, { board, lost, found }) {
  let source = null;
  let last = performance.now();
  let tries = 0;
  let isLost = false;

  const again = () => {
    source?.close();
    source = null;
    setTimeout(open, PAUSES_MS[Math.min(tries++, PAUSES_MS.length - 1)]);
  };

  function open() {
    source = new EventSource(address);
    source.addEventListener("board", (event) => {
      last = performance.now();
      tries = 0;
      if (isLost) { isLost = false; found(); }
      board(JSON.parse(event.data));
    });
    // the browser's own way back waits for seconds, and gives up on some errors
    source.onerror = again;
  }

  setInterval(() => {
    const silent = performance.now() - last;
    if (silent < SILENT_MS) return;
    isLost = true;
    lost(silent / 1000);
    // open, and silent: a server that was frozen, or a network that is gone
    if (source && source.readyState === EventSource.OPEN && silent > 3 * SILENT_MS) { last += SILENT_MS; again(); }
  }, 500);
  // a page that was asleep asks at once
  document.addEventListener("visibilitychange", () => { if (!document.hidden && isLost && source === null) { tries = 0; } });
  open();
}
