// The dashboard: takes the board twice a second and shows it.

import { Architecture } from "./architecture.js";
import { Chart } from "./chart.js";
import { connect } from "./connection.js";
import { Standing, standing } from "./faults.js";
import { clock, count, percent, seconds } from "./format.js";
import { Declared } from "./measures.js";
import { fill } from "./tables.js";

const $ = (id) => document.getElementById(id);
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

const architecture = new Architecture($("picture"), $("parts"));
const declared = new Declared({
  tiles: $("totals"), users: $("users-tile"), choice: $("measures"), before: $("truth-card"),
});
const chart = new Chart(declared, $("chart"), $("hour-title"), $("chart-summary"), $("chart-table"));
const strip = new Standing({ strip: $("banner"), list: $("faults"), pill: $("connection"), announce: $("announce") });
let newest = null;

function show(board) {
  newest = board;
  if (declared.build(board.pipeline)) chart.measure = declared.headlines[0].name;
  document.body.dataset.ever = "yes";
  say("mode", board.mode.name);
  say("answer", `answers from: ${board.mode.answer}`);
  architecture.show(board.parts, board.mode, board.pipeline.streams);
  showCounts(board);
  if (board.hour) chart.show(board.hour, board.cut_ms, board.mode.archive);
  $("batch-key").hidden = !board.mode.archive;
  $("speed-key").hidden = !board.mode.roles.includes("process");
  showTruth(board);
  showVersions(board.versions ?? []);
  showJobs(board.jobs ?? []);
  strip.show(board.mode.name, board.faults, ...standing(board));
  document.body.dataset.stale = board.answered ? "no" : "yes";
}

function showCounts(board) {
  const { totals } = board;
  const known = board.answered ? board.time_ms : board.ever ? board.time_ms - 1000 * board.away_s : null;
  say("as-of", known === null ? "" : `as of ${clock(known)} UTC`);
  declared.show(totals, board.top);
  say("rate", board.answered ? count(board.rate) : "–");
  say("users", `${board.users.exact ? "" : "≈ "}${count(board.users.number)}`);
  say("lag", board.lag === null ? "unknown" : count(board.lag));
  say("age", board.age_s === null ? "–" : `${seconds(board.age_s)} ago`);
  const said = [];
  const events = declared.events(totals);
  if (board.version !== null && events) {
    said.push(`batch view v${board.version} covers ${percent(board.from_batch / events)}, ${seconds(board.batch_age_s)} old`);
  }
  if (board.cut_ms) said.push(`cut at ${clock(board.cut_ms)} UTC`);
  if (board.job) said.push(`version ${board.job} of the job answers`);
  if (board.logic && board.logic !== "standard") said.push(`logic ${board.logic}`);
  if (board.since) said.push(`counted since ${board.since.slice(0, 19).replace("T", " ")} UTC`);
  say("where", said.join(" · "));
}

// what is known of the error: words, and how they look
const AUDITS = {
  exact: () => ["exact: no difference", "ok"],
  off: ({ error }) => [`wrong by ${count(error)}`, "down"],
  behind: ({ lag }) => [`no difference so far, ${lag === null ? "lag unknown" : `${count(lag)} behind`}`, "slow"],
  nothing: () => ["nothing counted yet", "unknown"],
  pending: () => ["being audited", "unknown"],
  nobody: () => ["not audited: FOURFOLD_AUDIT=false", "unknown"],
  unknown: () => ["unknown", "unknown"],
};

function showTruth(board) {
  const [words, state] = AUDITS[board.audit](board);
  $("error").dataset.state = state;
  say("error", words);
  say("beyond", board.beyond ? `${count(board.beyond)} duplicates not recognised, beyond the horizon` : "every number at its own offsets");
  const { quality } = board;
  const rejected = Object.entries(quality.rejected);
  const rows = [
    ["accepted", quality.accepted], ["duplicates", quality.duplicates], ["late", quality.late],
    ["rejected", rejected.reduce((sum, [, number]) => sum + number, 0)],
    ...rejected.map(([reason, number]) => [`\u2003${reason.replaceAll("_", " ")}`, number]),
  ];
  fill($("quality"), [
    { title: "records", of: (row) => row[0], head: true },
    { title: "number", of: (row) => count(row[1]), number: true },
  ], rows);
}

function showVersions(versions) {
  $("versions-card").hidden = !newest.mode.archive;
  fill($("versions"), [
    { title: "version", of: (row) => `v${row.version}${row.current ? " ←" : ""}`, head: true },
    { title: "made", of: (row) => row.created.slice(11, 19) },
    { title: "covers until", of: (row) => row.cut.slice(11, 19) },
    { title: "accepted", of: (row) => count(row.accepted), number: true },
    { title: "quality", of: (row) => (row.quality ? `${row.quality.passed} of ${row.quality.total}` : "–"), number: true },
  ], versions.map((version) => ({ ...version, mark: version.current ? "current" : "" })));
}

function showJobs(jobs) {
  $("jobs-card").hidden = !newest.mode.job_versions;
  const place = $("jobs");
  while (place.children.length > jobs.length) place.lastElementChild.remove();
  jobs.forEach((job, index) => {
    let card = place.children[index];
    if (!card) {
      card = document.createElement("article");
      for (const part of ["h3", "progress", "p"]) card.append(document.createElement(part));
      place.append(card);
    }
    const [title, bar, words] = card.children;
    const whole = job.counted + job.lag;
    title.textContent = `${job.name}${job.active ? " answers" : job.lag > Math.max(1000, 2 * newest.arriving) ? " is catching up" : " follows"}`;
    card.dataset.mark = job.active ? "current" : "";
    bar.max = whole || 1;
    bar.value = job.counted;
    bar.setAttribute("aria-label", `${job.name}: share of the log that is counted`);
    const left = job.lag && job.rate > newest.arriving ? `, ${seconds(job.lag / (job.rate - newest.arriving))} left` : "";
    words.textContent = `logic ${job.logic} · ${count(job.counted)} of ${count(whole)} records, ${count(job.accepted)} accepted · `
      + `${count(job.rate)}/s${job.lag > 1000 ? left : ""}`;
  });
}

async function readLetters() {
  const state = $("letters-state");
  state.textContent = "reading";
  try {
    const answer = await fetch("/v1/dead-letters?limit=50");
    const document_ = await answer.json();
    if (!answer.ok) throw new Error(document_.detail);
    fill($("letters").querySelector("table"), [
      { title: "record", of: (row) => `${row.topic}:${row.partition}:${row.offset}`, head: true },
      { title: "reason", of: (row) => row.reason.replaceAll("_", " ") },
      { title: "what it said", of: (row) => row.value ?? "no value" },
    ], document_.letters);
    const foreign = document_.foreign ? `; ${count(document_.foreign)} records of somebody else left out` : "";
    state.textContent = (document_.letters.length ? `the newest ${document_.letters.length}` : "there are none") + foreign;
  } catch (error) {
    state.textContent = `cannot be read: ${error.message}`;
  }
}

$("measures").addEventListener("change", (event) => {
  chart.measure = event.target.value;
  chart.again();
});
$("chart-table").addEventListener("toggle", () => chart.again());
$("letters").addEventListener("toggle", (event) => { if (event.target.open) readLetters(); });
$("letters-again").addEventListener("click", readLetters);

// what the page itself can say of its connection
const LOST = {
  look: "bad",
  what: "The connection to the API is lost.",
  then: "The numbers are the last known; the page tries again by itself.",
  remedy: "See whether `fourfold up` (or `fourfold serve`) runs, and start it again.",
};
const NO_ANSWER = { ...LOST, what: "The API does not answer.", then: "The page tries again by itself." };
const SILENT = { ...LOST, what: "The API says nothing new.", remedy: "Wait; if it lasts, see the log of `fourfold serve`." };
const NOT_YET = { ...SILENT, look: "note", what: "The API has said nothing yet.", then: "The page tries again by itself." };
const PAUSED = {
  look: "note", what: "Paused: the page was hidden.", then: "It goes on when it is looked at.", remedy: "",
};

// what was true a moment ago need not be true now
function forget() {
  document.body.dataset.stale = "yes";
  architecture.forget();
  $("error").dataset.state = "unknown";
  say("error", "not known");
  for (const id of ["rate", "age"]) say(id, "–");
  say("lag", "unknown");
}

connect("/v1/live", {
  board: show,
  lost: (silent, { down, ever, since }) => {
    const mode = newest?.mode.name;
    forget();
    if (!ever) strip.alone(mode, down ? NO_ANSWER : NOT_YET, down ? "no answer" : "connecting", down ? "down" : "slow");
    else if (down) strip.alone(mode, { ...LOST, since_ms: since }, "connection lost", "down");
    else strip.alone(mode, { ...SILENT, since_ms: since }, `stale, ${Math.round(silent)} s`, "slow", "stale");
  },
  paused: () => {
    forget();
    strip.alone(newest?.mode.name, PAUSED, "paused", "quiet");
  },
});
