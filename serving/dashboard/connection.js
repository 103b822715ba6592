// The page's side of the live stream: shares one with the browser's other pages, lets go of it while nobody looks,
// and says how old the newest board is. Only a board that was not there before is news.

import { Stream } from "./stream.js";

const SILENT_MS = 2000;
const LOOK_MS = 500;
const HERE_MS = 2000;
//: a worker that does not answer for so long is gone
const DEAF_MS = 4000;
//: a page that is hidden lets go after so long
const HIDDEN_MS = 5000;

// the stream in a worker that all pages share
class Shared {
  constructor(tell) {
    this.tell = tell;
    this.sent = 0;
    this.unheard = 0;
    this.port = new SharedWorker("/dashboard/worker.js", { type: "module", name: "fourfold" }).port;
    this.port.onmessage = ({ data }) => {
      this.unheard = 0;
      if (!data.here) this.tell(data);
    };
  }

  open() {
    const now = performance.now();
    if (now - this.sent < HERE_MS) return;
    this.sent = now;
    this.unheard ||= now;
    this.port.postMessage("here");
  }

  close() {
    this.sent = this.unheard = 0;
    this.port.postMessage("gone");
  }

  hurry() { this.sent = 0; this.open(); }

  get deaf() { return this.unheard > 0 && performance.now() - this.unheard > DEAF_MS; }
}

export function connect(address, { board, lost, paused }) {
  let stream = null;
  let ways = typeof SharedWorker === "function" ? 2 : 0;
  let joined = false;
  let hiddenAt = document.hidden ? performance.now() : null;
  let newest = "";
  let heard = { at: performance.now(), wall: Date.now() };
  let isDown = false;

  const tell = (from) => (message) => {
    if (from !== stream || !joined) return;
    if (message.down) { isDown = true; return; }
    const made = JSON.parse(message.frame);
    const key = `${message.number} ${made.time_ms}`;
    if (key === newest) return;
    newest = key;
    heard = { at: performance.now(), wall: Date.now() };
    isDown = false;
    board(made);
  };

  // in some browsers one of the two clocks stands still while the machine sleeps
  const silentMs = () => Math.max(performance.now() - heard.at, Date.now() - heard.wall);

  function make() {
    try {
      if (ways > 0) {
        ways -= 1;
        const shared = new Shared((message) => tell(shared)(message));
        return shared;
      }
    } catch { ways = 0; }
    const own = new Stream(address, (message) => tell(own)(message));
    return own;
  }

  function join() {
    if (stream?.deaf) { stream.close(); stream = null; }
    stream ??= make();
    joined = true;
    stream.open();
  }

  function leave() {
    if (!joined) return;
    joined = false;
    stream.close();
    paused();
  }

  function look() {
    hiddenAt = document.hidden ? hiddenAt ?? performance.now() : null;
    if (hiddenAt !== null && performance.now() - hiddenAt > HIDDEN_MS) leave();
    else join();
    if (!joined) return;
    const silent = silentMs();
    if (silent < SILENT_MS) return;
    lost(silent / 1000, { down: isDown || navigator.onLine === false, ever: newest !== "", since: heard.wall });
  }

  function back() {
    look();
    if (joined) stream.hurry();
  }

  for (const name of ["pageshow", "online"]) window.addEventListener(name, back);
  document.addEventListener("resume", back);
  document.addEventListener("visibilitychange", () => { if (document.hidden) look(); else back(); });
  window.addEventListener("pagehide", leave);
  document.addEventListener("freeze", leave);
  setInterval(look, LOOK_MS);
  look();
}
