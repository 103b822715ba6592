// A live stream that comes back by itself, and notices where it is open and says nothing.

const PAUSES_MS = [250, 500, 1000, 2000, 4000];
//: two boards a second: one that says nothing for so long is asked again
const SILENT_MS = 6000;

export class Stream {
  // `tell` is given { frame, number } for each event, and { down: true } where the connection is gone
  constructor(address, tell) {
    this.address = address;
    this.tell = tell;
    this.source = null;
    this.timer = 0;
    this.tries = 0;
    this.heard = 0;
    setInterval(() => this.look(), 1000);
  }

  open() {
    if (!this.source && !this.timer) this.connect();
  }

  connect() {
    this.timer = 0;
    this.heard = performance.now();
    const source = new EventSource(this.address);
    this.source = source;
    source.addEventListener("board", (event) => {
      this.heard = performance.now();
      this.tries = 0;
      this.tell({ frame: event.data, number: event.lastEventId });
    });
    // the browser's own way back waits for seconds, and gives up on some errors
    source.onerror = () => this.again();
  }

  again() {
    this.close();
    this.tell({ down: true });
    this.timer = setTimeout(() => this.connect(), PAUSES_MS[Math.min(this.tries++, PAUSES_MS.length - 1)]);
  }

  // somebody looks at it again, or the network is back: no further pause
  hurry() {
    if (!this.timer) return;
    this.close();
    this.tries = 0;
    this.connect();
  }

  look() {
    // a server that was frozen, or a network that is gone
    if (this.source && performance.now() - this.heard > SILENT_MS) this.again();
  }

  close() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.source?.close();
    this.source = null;
  }
}
