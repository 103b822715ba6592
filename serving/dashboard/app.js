// The dashboard: takes the board twice a second and shows it.

import { Architecture } from "./architecture.js";
import { Chart } from "./chart.js";
import { connect } from "./connection.js";
import { clock, count, euros, percent, seconds } from "./format.js";
import { fill } from "./tables.js";

const $ = (id) => document.getElementById(id);
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

const architecture = new Architecture($("picture"), $("parts"), $("announce"));
const chart = new Chart($("chart"), $("chart-summary"), $("chart-table"));
const STALE_S = 5;
let newest = null;

function show(board) {
  newest = board;
  document.title = `Fourfold · ${board.mode.name}`;
  say("mode", board.mode.name);
  say("answer", `answers from: ${board.mode.answer}`);
  architecture.show(board.parts, board.mode);
  showCounts(board);
  if (board.hour) chart.show(board.hour, board.cut_ms, board.mode.archive);
  $("batch-key").hidden = !board.mode.archive;
  $("speed-key").hidden = !board.mode.roles.includes("process");
  for (const name of ["campaign", "product", "country"]) showTop(name, board.top?.[name] ?? []);
  showTruth(board);
  showVersions(board.versions ?? []);
  showJobs(board.jobs ?? []);
  showState(board);
}

function showCounts(board) {
  const { totals } = board;
  say("clicks", count(totals.clicks));
  say("sales", count(totals.sales));
  say("revenue", euros(totals.revenue_cents));
  say("rate", board.answered ? count(board.rate) : "–");
  say("users", `${board.users.exact ? "" : "≈ "}${count(board.users.number)}`);
  say("lag", board.lag === null ? "unknown" : count(board.lag));
  say("age", board.age_s === null ? "–" : `${seconds(board.age_s)} ago`);
  const said = [];
  const events = totals.clicks + totals.sales;
  if (board.version !== null && events) {
    said.push(`batch view v${board.version} covers ${percent(board.from_batch / events)}, ${seconds(board.batch_age_s)} old`);
  }
  if (board.cut_ms) said.push(`cut at ${clock(board.cut_ms)}`);
  if (board.job) said.push(`version ${board.job} of the job answers`);
  if (board.logic && board.logic !== "standard") said.push(`logic ${board.logic}`);
  if (board.since) said.push(`counted since ${board.since.slice(0, 19).replace("T", " ")}`);
  say("where", said.join(" · "));
}

function showTop(name, rows) {
  fill($(`top-${name}`), [
    { title: name, of: (row) => row.value, head: true },
    { title: "clicks", of: (row) => count(row.clicks), number: true },
    { title: "sales", of: (row) => count(row.sales), number: true },
    { title: "EUR", of: (row) => count(row.revenue_cents / 100), number: true },
  ], rows);
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
    { title: "", of: (row) => count(row[1]), number: true },
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
  $("jobs-card").hidden = jobs.length === 0;
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

function showState(board) {
  const said = [...board.trouble, ...board.states];
  if (!board.answered) {
    const since = board.away_s === null ? "" : `, ${seconds(board.away_s)} ago`;
    said.unshift(`no answer now: the numbers are the last ones that were known${since}`);
  }
  banner(said.join(" · "), board.answered ? "note" : "bad");
  pill(board.answered ? "live" : "stale", board.answered ? "ok" : "slow");
  document.body.dataset.stale = board.answered ? "no" : "yes";
}

function banner(text, kind) {
  const place = $("banner");
  place.hidden = !text;
  place.dataset.kind = kind;
  if (place.textContent !== text) place.textContent = text;
}

function pill(text, state) {
  say("connection", text);
  $("connection").dataset.state = state;
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
    state.textContent = document_.letters.length ? `the newest ${document_.letters.length}` : "there are none";
  } catch (error) {
    state.textContent = `cannot be read: ${error.message}`;
  }
}

$("measures").addEventListener("change", (event) => {
  chart.measure = event.target.value;
  if (newest?.hour) chart.show(newest.hour, newest.cut_ms, newest.mode.archive);
});
$("chart-table").addEventListener("toggle", () => { if (newest?.hour) chart.show(newest.hour, newest.cut_ms, newest.mode.archive); });
$("letters").addEventListener("toggle", (event) => { if (event.target.open) readLetters(); });
$("letters-again").addEventListener("click", readLetters);

connect("/v1/live", {
  board: show,
  lost: (silent, { down, ever }) => {
    const age = seconds(Math.round(silent)).replace(".0", "");
    document.body.dataset.stale = "yes";
    if (down) pill("connection lost", "down");
    else pill(ever ? `stale, ${age}` : "connecting", "slow");
    const why = down ? `The connection is lost for ${age}` : ever ? `Nothing new for ${age}` : `No numbers yet, after ${age}`;
    banner(`${why}: numbers are stale. Trying again by itself.`, silent > STALE_S ? "bad" : "note");
  },
  found: () => banner("", "note"),
  paused: () => {
    document.body.dataset.stale = "yes";
    pill("paused", "quiet");
  },
});
