// What is wrong, and what to do: in the strip at the top, the pill, the page's title, and for those who listen.

import { TITLES } from "./architecture.js";
import { clock } from "./format.js";

//: a state that does not last so long is not read aloud
const LASTS_MS = 1500;
const WELL = { look: "ok", what: "Nothing is wrong.", then: "Faults appear here, with what to do about them.", remedy: "" };
const MARKS = { bad: "✕", note: "▲", ok: "●" };

// a program's name or a setting in backquotes is shown as such
function words(text) {
  return text.split("`").map((piece, place) => {
    if (place % 2 === 0) return piece;
    const code = document.createElement("code");
    code.textContent = piece;
    return code;
  });
}

function bold(...pieces) {
  const made = document.createElement("b");
  made.append(...pieces);
  return made;
}

export class Standing {
  constructor({ strip, list, pill, announce }) {
    Object.assign(this, { strip, list, pill, announce });
    this.drawn = "";
    this.said = null;
    this.timer = 0;
    new ResizeObserver(() => this.reach()).observe(list);
  }

  // `faults`: as the board has them
  show(mode, faults, word, state) {
    const bad = faults.some((fault) => fault.bad);
    this.draw(faults.length ? faults.map((fault) => ({ ...fault, look: fault.bad ? "bad" : "note" })) : [WELL]);
    this.strip.dataset.look = bad ? "bad" : faults.length ? "note" : "ok";
    this.label(word, state, mode);
    this.tell(faults.map((fault) => fault.what).join(" ") || "Nothing is wrong.", `${faults.map((fault) => [fault.part, fault.kind])}`);
  }

  // `key`: the same for as long as there is no news
  alone(mode, fault, word, state, key = word) {
    this.draw([fault]);
    this.strip.dataset.look = fault.look;
    this.label(word, state, mode, key);
    this.tell(fault.what, key);
  }

  label(word, state, mode, title = word) {
    if (this.pill.textContent !== word) this.pill.textContent = word;
    this.pill.dataset.state = state;
    const text = `${title} · Fourfold${mode ? ` ${mode}` : ""}`;
    if (document.title !== text) document.title = text;
  }

  draw(faults) {
    const key = JSON.stringify(faults);
    if (key === this.drawn) return;
    this.drawn = key;
    this.list.replaceChildren(...faults.map(({ look, what, since_ms: since, then, remedy }) => {
      const line = document.createElement("li");
      line.dataset.look = look;
      const mark = document.createElement("span");
      mark.setAttribute("aria-hidden", "true");
      mark.textContent = `${MARKS[look]} `;
      line.append(mark, bold(...words(what)));
      if (since) line.append(` Since ${clock(since)} UTC.`);
      if (then) line.append(" ", ...words(then));
      if (remedy) line.append(" ", bold("To do:"), " ", ...words(remedy));
      return line;
    }));
    this.reach();
  }

  // with a keyboard, too
  reach() {
    if (this.list.scrollHeight > this.list.clientHeight + 1) this.list.tabIndex = 0;
    else this.list.removeAttribute("tabindex");
  }

  // each change once, and what flickers not at all
  tell(text, key) {
    this.next = { text, key };
    if (this.said === null) this.said = "";
    if (key === this.said || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = 0;
      const { text: now, key: then } = this.next;
      if (then === this.said) return;
      if (then === key) {
        this.said = then;
        this.announce.textContent = now;
      } else this.tell(now, then);
    }, LASTS_MS);
  }
}

// a word for the whole, and how it looks; never "live" where a part is down or nothing is known
export function standing(board) {
  const bad = board.faults.filter((fault) => fault.bad);
  const parts = [...new Set(bad.map((fault) => fault.part))];
  const down = (name) => board.parts.some((part) => part.name === name && part.state === "down");
  const fault = parts.length > 1 ? `${parts.length} faults`
    : parts.length ? (down(parts[0]) ? `${TITLES[parts[0]]} down` : `fault: ${TITLES[parts[0]]}`) : "";
  if (!board.answered) {
    const word = board.ever ? "stale" : "starting";
    return [fault ? `${word}, ${fault}` : word, fault ? "down" : "slow"];
  }
  if (fault) return [fault, "down"];
  return board.audit === "off" ? ["live, not exact", "slow"] : ["live", "ok"];
}
