// One stream for all pages of a browser: an origin has six connections under HTTP/1.1, and each open stream takes one.

import { Stream } from "./stream.js";

//: a page that is looked at says so every two seconds
const GONE_MS = 15000;
const pages = new Map();
const stream = new Stream("/v1/live", (message) => {
  for (const port of pages.keys()) port.postMessage(message);
});

function settle() {
  const now = performance.now();
  for (const [port, heard] of pages) if (now - heard > GONE_MS) pages.delete(port);
  if (pages.size) stream.open(); else stream.close();
}

self.addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data === "gone") pages.delete(port);
    else {
      if (!pages.has(port)) stream.hurry();
      pages.set(port, performance.now());
      port.postMessage({ here: true });
    }
    settle();
  };
});
self.addEventListener("online", () => stream.hurry());
setInterval(settle, 2000);
