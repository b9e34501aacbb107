// The review page. Everything it shows was written by strangers, so text reaches the document only as text:
// this file builds nodes and sets textContent, and the server's policy forbids the rest.
"use strict";

const LINES_AT_FIRST = 400; // of one hunk
const LINES_MORE = 4000; // for each press of a button
const HUNKS_AT_ONCE = 100;
const LINES_ON_PAGE = 10000; // of all files at first: those after them wait for a press of a button
const CHARS_AT_FIRST = 2000; // of one line
const KEYS_SLEEP_MS = 700; // a letter on its way to a terminal must not decide anything
const PREVIEW_AFTER_MS = 300;
const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15000];

const $ = (id) => document.getElementById(id);
const secretKey = `bridge-secret ${location.pathname}`;

let review = null; // as the server sent it last
let editing = false;
let deciding = false;
let drafts = []; // per file: the edited text, or null
let rejected = []; // per file: whether it is rejected, whatever becomes of the others
let changes = []; // per file: {added, removed, hunks} as displayed

// ---------------------------------------------------------------- the document

function element(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

function button(label, action) {
  const node = element("button", "", label);
  node.type = "button";
  node.addEventListener("click", action);
  return node;
}

function say(text) {
  $("live").textContent = text;
}

function tell(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

// ---------------------------------------------------------------- requests

class Refused extends Error {
  constructor(status, answer) {
    super(answer?.error?.message ?? `the bridge answered ${status}`);
    this.status = status;
    this.answer = answer;
  }
}

/** Ask the bridge; null for "no news". Throws Refused, or whatever fetch throws when nobody answers. */
async function ask(path, body) {
  const headers = { "X-Bridge-Secret": sessionStorage.getItem(secretKey) ?? "" };
  const options = { headers, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  }
  const response = await fetch(path, options);
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

const isFinal = (error) => error instanceof Refused && error.status < 500;

/** Trade the code in the address for access, once, and take it out of the address and the history. */
async function enter() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  history.replaceState(null, "", location.pathname);
  const inside = sessionStorage.getItem(secretKey) !== null;
  if (!code && !inside) {
    throw new Refused(403, { error: { message: "this address alone opens nothing; a link with a code in it does, once" } });
  }
  if (!code) return;
  try {
    sessionStorage.setItem(secretKey, (await retrying(() => ask("session", { code }))).secret);
  } catch (error) {
    if (!inside) throw error; // else an old link in a tab that has access already
  }
}

/** Repeat `request` until somebody answers. */
async function retrying(request) {
  for (let failures = 0; ; failures += 1) {
    try {
      const answer = await request();
      tell("offline", "");
      return answer;
    } catch (error) {
      if (isFinal(error)) {
        tell("offline", "");
        throw error;
      }
    }
    const text = "The bridge is not reachable, trying again. Nothing is lost.";
    if ($("offline").hidden) say(text);
    tell("offline", text);
    await pause(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] * (0.8 + 0.4 * Math.random()));
  }
}

/** Wait, but not longer than until the human comes back to the page. */
function pause(ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      removeEventListener("focus", done);
      removeEventListener("online", done);
      resolve();
    }
    addEventListener("focus", done);
    addEventListener("online", done);
  });
}

async function run() {
  try {
    await enter();
    display(await retrying(() => ask("review")));
    while (review.open) {
      const news = await retrying(() => ask(`review?after=${review.version}`));
      if (news && news.version > review.version) display(news);
    }
  } catch (error) {
    if (!isFinal(error)) throw error;
    refuse(error);
  }
}

function refuse(error) {
  $("why").textContent = `${error.message[0].toUpperCase()}${error.message.slice(1)}.`;
  $("no-access").hidden = false;
  for (const id of ["top", "contents", "files", "outcome"]) $(id).hidden = true;
  say("No access to this review");
}

// ---------------------------------------------------------------- the review

const ENDS = {
  accepted: ["good", "Accepted."],
  accepted_with_edits: ["good", "Accepted with your edits."],
  partially_accepted: ["good", "Accepted in part."],
  rejected: ["bad", "Rejected."],
  cancelled: ["", "The agent withdrew this change. There is nothing to decide any more."],
  superseded: ["", "A newer proposal took the place of this one. There is nothing to decide here any more."],
  expired: ["", "Nobody decided in time, so this review has ended. The agent may propose the change again."],
};
const ELSEWHERE = {
  accepted_in_ide: " In the IDE.",
  rejected_in_ide: " In the IDE.",
  rejected_or_closed: " In the IDE.",
  moved_to_terminal: " The agent asks in its terminal instead.",
};

function display(next) {
  const first = review === null;
  review = next;
  if (first) {
    drafts = review.files.map(() => null);
    wakeKeysLater();
  }
  if (first || !review.open) {
    const inPart = review.outcome === "partially_accepted";
    rejected = review.files.map((file) => inPart && file.verdict === "rejected");
    changes = review.files;
    renderFiles();
  }
  renderHeader();
  renderOutcome();
  if (first && review.open) say(`${heading()}: ${counts()} waiting for your decision`);
}

const heading = () => review.title || (review.files.length === 1 ? review.files[0].path : `${review.files.length} files`);
const sum = (key) => changes.reduce((total, change, index) => total + (rejected[index] ? 0 : change[key]), 0);
const counts = () => `${sum("added")} added, ${sum("removed")} removed.`;
const edited = (index) => drafts[index] !== null && drafts[index] !== textareaForm(review.files[index].proposed);
const dirty = () => drafts.some((_, index) => edited(index));
const nothingLeft = () => rejected.every(Boolean);

function renderHeader() {
  $("top").hidden = false;
  $("title").textContent = heading();
  const about = [`Proposed by ${review.agent || "an agent"} in ${review.workspace}`];
  if (review.files.length > 1) about.push(`${review.files.length} files`);
  if (review.open && review.shown_in) about.push(`also shown in ${review.shown_in}`);
  $("about").replaceChildren(`${about.join(" · ")} · `, ...statsNodes(sum("added"), sum("removed")));
  $("actions").hidden = $("comment-bar").hidden = !review.open;
  for (const id of ["accept", "reject", "edit"]) $(id).disabled = deciding;
  if (nothingLeft()) $("accept").disabled = true;
  $("edit").setAttribute("aria-pressed", String(editing));
  $("accept-label").textContent = acceptLabel();
  $("reject-label").textContent = review.files.length > 1 ? "Reject all" : "Reject";
  document.title = `${review.open ? "" : "Done: "}${heading()} · review`;
}

function acceptLabel() {
  const all = review.files.length;
  const left = rejected.filter((no) => !no).length;
  const which = left === all ? "" : ` ${left} of ${all}`;
  return `Accept${which}${drafts.some((_, index) => edited(index) && !rejected[index]) ? " with edits" : ""}`;
}

function statsNodes(added, removed) {
  return [element("span", "plus", `+${added}`), " ", element("span", "minus", `−${removed}`)];
}

function renderOutcome() {
  $("outcome").hidden = review.open;
  if (review.open) return;
  const [kind, what] = ENDS[review.outcome] ?? ["", `This review has ended: ${review.state}.`];
  const text = `${what}${ELSEWHERE[review.trigger] ?? ""} You can close this tab.`;
  const notes = review.comments.map((comment) => element("p", "", comment));
  $("outcome").className = `banner ${kind}`;
  $("outcome").replaceChildren(element("strong", "", text), ...notes);
  say(text);
}

// ---------------------------------------------------------------- files

function renderFiles() {
  let room = LINES_ON_PAGE;
  const nodes = review.files.map((file, index) => {
    const node = fileNode(file, index, room > 0);
    room -= linesAtFirst(changes[index].hunks);
    return node;
  });
  $("files").replaceChildren(...nodes);
  renderContents();
}

const linesAtFirst = (hunks) =>
  hunks.slice(0, HUNKS_AT_ONCE).reduce((total, hunk) => total + Math.min(hunk.lines.length, LINES_AT_FIRST), 0);

/** List the files of a review that has several; a press leads to one. */
function renderContents() {
  $("contents").hidden = review.files.length < 2;
  const list = element("ol");
  list.append(...review.files.map((file, index) => {
    const row = element("li");
    row.append(button(file.path, () => goToFile(index)), statsNode(index));
    return row;
  }));
  $("contents").replaceChildren(list);
}

function goToFile(index) {
  const section = $("files").children[index];
  section.scrollIntoView({ block: "start" });
  section.querySelector("h2").focus({ preventScroll: true });
}

function statsNode(index) {
  const stats = element("span", "stats");
  stats.append(...statsNodes(changes[index].added, changes[index].removed));
  return stats;
}

function fileNode(file, index, shown) {
  const section = element("section", "file");
  section.setAttribute("aria-label", file.path);
  const head = element("header");
  const name = element("h2", "", file.path);
  name.tabIndex = -1;
  head.append(name);
  if (file.kind === "create") head.append(element("span", "chip", "new file"));
  if (drafts[index] !== null && review.open) head.append(element("span", "chip edited", "edited"));
  if (rejected[index] && !review.open) head.append(element("span", "chip", "rejected"));
  head.append(statsNode(index));
  if (review.open && review.files.length > 1) head.append(rejectButton(file, index));
  section.classList.toggle("rejected", rejected[index]);
  section.append(head);
  if (file.warnings.length) {
    const list = element("ul", "warnings");
    list.append(...file.warnings.map((warning) => element("li", "", warning)));
    section.append(list);
  }
  if (editing && (review.open || dirty())) section.append(editorNode(file, index));
  section.append(shown ? diffNode(changes[index].hunks) : unshownNode(index));
  return section;
}

function unshownNode(index) {
  const line = element("p", "unshown");
  line.append(button("Show this file", () => renderChange(index)));
  return line;
}

function renderChange(index) {
  const section = $("files").children[index];
  for (const place of [section, $("contents").querySelectorAll("li")[index]]) {
    place.querySelector(".stats").replaceWith(statsNode(index));
  }
  section.querySelector(".diff, .empty, .unshown").replaceWith(diffNode(changes[index].hunks));
}

/** Rejects one file of several; pressed again it takes that back. */
function rejectButton(file, index) {
  const toggle = button("Reject file", () => {
    rejected[index] = !rejected[index];
    toggle.setAttribute("aria-pressed", String(rejected[index]));
    $("files").children[index].classList.toggle("rejected", rejected[index]);
    renderHeader();
    tell("problem", "");
    say(`${rejected[index] ? "Rejected" : "Not rejected"}: ${file.path}`);
  });
  toggle.setAttribute("aria-pressed", String(rejected[index]));
  toggle.setAttribute("aria-label", `Reject file ${file.path}`);
  return toggle;
}

// ---------------------------------------------------------------- editing

/** What a textarea makes of a text: the server brings the line endings back. */
const textareaForm = (text) => text.replace(/^\ufeff+/, "").replace(/\r\n?/g, "\n");

function editorNode(file, index) {
  const box = element("div", "editor");
  const area = element("textarea");
  area.value = drafts[index] ?? textareaForm(file.proposed);
  area.spellcheck = false;
  area.setAttribute("aria-label", `Proposed text of ${file.path}`);
  area.addEventListener("input", () => {
    drafts[index] = area.value;
    renderHeader();
    previewLater();
  });
  const line = element("p");
  line.append(
    button("Discard edits", () => {
      drafts[index] = null;
      area.value = textareaForm(file.proposed);
      renderHeader();
      previewLater();
    }),
    "Line endings and the newline at the end stay as proposed. The diff below is what you accept.",
  );
  box.append(area, line);
  return box;
}

function toggleEditing() {
  if (!review?.open) return;
  editing = !editing;
  renderFiles();
  renderHeader();
  if (editing) document.querySelector(".file:not(.rejected) .editor textarea")?.focus();
  say(editing ? "Editing the proposed text" : "Not editing");
}

const finals = () => review.files.map((file, index) => (rejected[index] ? null : drafts[index] ?? file.proposed));

let previewTimer = 0;
let previews = 0;

function previewLater() {
  clearTimeout(previewTimer);
  previewTimer = setTimeout(previewNow, PREVIEW_AFTER_MS);
}

async function previewNow() {
  const mine = ++previews;
  try {
    const answer = await ask("preview", { files: drafts });
    if (mine !== previews || !review.open) return;
    const before = changes;
    changes = answer.files.map((change, index) => change ?? review.files[index]);
    changes.forEach((change, index) => { if (change !== before[index]) renderChange(index); });
    renderHeader();
    tell("problem", "");
  } catch (error) {
    tell("problem", `The preview is out of date: ${error.message}`);
  }
}

// ---------------------------------------------------------------- deciding

async function decide(accept) {
  if (!review?.open || deciding) return;
  if (accept && nothingLeft()) {
    tell("problem", "Every file is rejected, so there is nothing to accept: reject all.");
    return;
  }
  deciding = true;
  renderHeader();
  try {
    const decided = await decisionSent(accept);
    drafts.fill(null); // what was written is the bridge's now
    display(decided);
    tell("problem", "");
  } catch (error) {
    if (error.answer?.review) display(error.answer.review);
    else tell("problem", `Not decided: ${error.message}. Your text is still here.`);
    if (review.open) say("Not decided");
  } finally {
    deciding = false;
    renderHeader();
  }
}

/** Send the decision; once more if only the place of display changed meanwhile, never if the review ended. */
async function decisionSent(accept) {
  const body = () => ({
    version: review.version,
    accept,
    files: accept && (dirty() || rejected.some(Boolean)) ? finals() : null,
    comment: $("comment").value,
  });
  try {
    return await ask("decision", body());
  } catch (error) {
    if (!error.answer?.review?.open) throw error;
    review = error.answer.review;
    return ask("decision", body());
  }
}

// ---------------------------------------------------------------- the diff

const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0d\u{e0100}-\u{e01ef}]/u;
const ENDINGS = { "\r\n": "CRLF", "\r": "CR", "": "no newline" };
const KINDS = { "+": ["add", "+"], "-": ["del", "−"], " ": ["", ""] };

function diffNode(hunks) {
  if (!hunks.length) return element("p", "empty", "Nothing changes.");
  const table = element("table", "diff");
  const columns = element("colgroup");
  for (const name of ["no", "no", "mark", "code"]) columns.append(element("col", name));
  table.append(columns);
  appendHunks(table, hunks, 0);
  return table;
}

function appendHunks(table, hunks, from) {
  const end = Math.min(from + HUNKS_AT_ONCE, hunks.length);
  for (let index = from; index < end; index += 1) table.append(hunkNode(hunks[index], index, hunks.length));
  if (end < hunks.length) {
    const body = element("tbody");
    body.append(moreRow(`Show more hunks (${hunks.length - end} left)`, () => {
      body.remove();
      appendHunks(table, hunks, end);
    }));
    table.append(body);
  }
}

function hunkNode(hunk, index, count) {
  const body = element("tbody", "hunk");
  const row = element("tr");
  const head = element("th", "", `@@ −${hunk.old.join(",")} +${hunk.new.join(",")} @@`);
  head.colSpan = 4;
  head.tabIndex = -1;
  head.scope = "rowgroup";
  head.setAttribute("aria-label", `Hunk ${index + 1} of ${count}, line ${hunk.new[0]}`);
  row.append(head);
  body.append(row);
  appendLines(body, hunk.lines, partners(hunk.lines), 0, LINES_AT_FIRST);
  return body;
}

function appendLines(body, lines, partner, from, count) {
  const end = Math.min(from + count, lines.length);
  for (let index = from; index < end; index += 1) body.append(lineNode(lines[index], lines[partner.get(index)]));
  if (end < lines.length) {
    const row = moreRow(`Show ${lines.length - end} more lines`, () => {
      row.remove();
      appendLines(body, lines, partner, end, LINES_MORE);
    });
    body.append(row);
  }
}

function moreRow(label, action) {
  const row = element("tr", "more");
  const cell = element("td");
  cell.colSpan = 4;
  cell.append(button(label, action));
  row.append(cell);
  return row;
}

/** Pair the lines of a removed run with those of the added run after it, if they are as many. */
function partners(lines) {
  const partner = new Map();
  for (let at = 0; at < lines.length; at += 1) {
    const run = (kind, start) => {
      let end = start;
      while (end < lines.length && lines[end][0] === kind) end += 1;
      return end;
    };
    const middle = run("-", at);
    const end = run("+", middle);
    if (middle > at && end - middle === middle - at) {
      for (let index = at; index < middle; index += 1) {
        partner.set(index, index - at + middle);
        partner.set(index - at + middle, index);
      }
    }
    at = Math.max(at, end - 1);
  }
  return partner;
}

function lineNode(line, other) {
  const [kind, text, ending, oldNo, newNo] = line;
  const [className, mark] = KINDS[kind];
  const row = element("tr", className);
  const code = element("td", "code");
  const [from, to] = other ? difference(text, other[1]) : [0, 0];
  paint(code, text, from, to, CHARS_AT_FIRST);
  if (kind !== " " && ending in ENDINGS && !(other && other[2] === ending)) {
    code.append(element("span", "ending", ENDINGS[ending]));
  }
  row.append(element("td", "no", String(oldNo ?? "")), element("td", "no", String(newNo ?? "")), element("td", "mark", mark), code);
  return row;
}

/** Where `text` differs from its partner; nothing if most of it does. */
function difference(text, other) {
  const least = Math.min(text.length, other.length);
  let from = 0;
  while (from < least && text[from] === other[from]) from += 1;
  let tail = 0;
  while (tail < least - from && text[text.length - 1 - tail] === other[other.length - 1 - tail]) tail += 1;
  if (from + tail === 0 || (from + tail) * 3 < text.length) return [0, 0];
  const end = text.length - tail;
  return [between(text, from), between(text, end) === end ? end : end + 1];
}

/** Move `at` off the middle of a character that takes two units. */
function between(text, at) {
  return at > 0 && at < text.length && text.codePointAt(at - 1) > 0xffff ? at - 1 : at;
}

function paint(cell, text, from, to, limit) {
  const shown = text.length > limit ? text.slice(0, between(text, limit)) : text;
  appendText(cell, shown.slice(0, from));
  if (to > from) {
    const mark = element("mark");
    appendText(mark, shown.slice(from, to));
    cell.append(mark);
  }
  appendText(cell, shown.slice(Math.max(from, to)));
  if (shown.length < text.length) {
    cell.append(button(`Show ${text.length - shown.length} more characters`, () => {
      cell.replaceChildren();
      paint(cell, text, from, to, Infinity);
    }));
  }
}

/** Append `text` with what cannot be seen as escapes, so that a line reads as it is stored. */
function appendText(node, text) {
  if (!HIDDEN.test(text)) {
    node.append(text);
    return;
  }
  let plain = "";
  for (const char of text) {
    if (char === "\t" || !HIDDEN.test(char)) {
      plain += char;
      continue;
    }
    node.append(plain, element("span", "hidden-char", escaped(char)));
    plain = "";
  }
  node.append(plain);
}

function escaped(char) {
  const code = char.codePointAt(0);
  const [letter, width] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return `\\${letter}${code.toString(16).padStart(width, "0")}`;
}

// ---------------------------------------------------------------- keys

let keysTimer = 0;

/** Keys that decide sleep for a moment whenever the page comes to the front. */
function wakeKeysLater() {
  clearTimeout(keysTimer);
  delete document.documentElement.dataset.keys;
  keysTimer = setTimeout(() => { document.documentElement.dataset.keys = "awake"; }, KEYS_SLEEP_MS);
}

const awake = () => document.documentElement.dataset.keys === "awake";

function goToHunk(step) {
  const hunks = [...document.querySelectorAll(".file:not(.rejected) tbody.hunk")];
  if (!hunks.length) return;
  const here = hunks.findIndex((hunk) => hunk.classList.contains("here"));
  const next = here < 0 ? (step > 0 ? 0 : hunks.length - 1) : Math.min(Math.max(here + step, 0), hunks.length - 1);
  hunks[here]?.classList.remove("here");
  hunks[next].classList.add("here");
  const head = hunks[next].querySelector("th");
  head.focus({ preventScroll: true });
  head.scrollIntoView({ block: "start" });
}

const KEYS = {
  a: () => awake() && decide(true),
  r: () => awake() && decide(false),
  e: toggleEditing,
  n: () => goToHunk(1),
  p: () => goToHunk(-1),
  "?": () => $("help").showModal(),
};

function onKey(event) {
  if ($("help").open || event.isComposing) return;
  const writing = event.target instanceof HTMLTextAreaElement;
  if (writing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    decide(true);
  } else if (writing && event.key === "Escape") {
    event.target.blur();
  } else if (!writing && !event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey && event.key in KEYS) {
    event.preventDefault();
    KEYS[event.key]();
  }
}

document.addEventListener("keydown", onKey);
addEventListener("focus", wakeKeysLater);
addEventListener("hashchange", () => location.reload());
addEventListener("beforeunload", (event) => {
  if (review?.open && dirty()) event.preventDefault();
});
$("accept").addEventListener("click", () => decide(true));
$("reject").addEventListener("click", () => decide(false));
$("edit").addEventListener("click", toggleEditing);
$("help-button").addEventListener("click", KEYS["?"]);
run();
