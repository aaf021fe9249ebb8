// Keeps the page up to date: asks for the same page every two seconds and puts what has changed into this one.
// Nothing here is needed to read or to act. It rests while the page is hidden, and asks more slowly of a busy gateway.
"use strict";

const BEAT = 2000;
const SLOWEST = 10000;
const PATIENCE = 10000;
const state = document.getElementById("state");
const pause = document.getElementById("pause");
const filter = document.getElementById("filter");
let timer = 0;
let asking = null;
let paused = false;
// What had the focus when the gateway was lost.
let held = null;

async function ask(forced) {
  clearTimeout(timer);
  if ((paused || document.hidden) && !forced) return;
  if (asking) asking.abort();
  const mine = (asking = new AbortController());
  const limit = setTimeout(() => mine.abort(), PATIENCE);
  const begun = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { "X-Poll": "1" }, signal: mine.signal });
    const text = await answer.text();
    if (asking !== mine) return;
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    // Nothing moves under a pointer that is about to press a button.
    if (!document.querySelector("[data-live] button:hover, [data-live] button:active")) renew(text);
    rest(false);
    if (!paused) say("Live", "on");
  } catch (error) {
    if (asking !== mine) return;
    rest(true);
    if (!state.classList.contains("lost")) say("No answer since " + new Date().toISOString().slice(11, 19) + " UTC", "lost");
  } finally {
    clearTimeout(limit);
    if (asking === mine) {
      asking = null;
      timer = setTimeout(ask, Math.min(Math.max(BEAT, 10 * (performance.now() - begun)), SLOWEST));
    }
  }
}

// What is old is dimmed, and its links and buttons do nothing: they could only fail, or act on what has changed since.
function rest(isLost) {
  const focused = document.activeElement;
  if (isLost && focused !== document.body) held = focused;
  for (const part of document.querySelectorAll("main [data-live], main form[method=post]")) part.inert = isLost;
  if (!isLost && held?.isConnected && focused === document.body) held.focus({ preventScroll: true });
  if (!isLost) held = null;
}

function say(words, kind) {
  if (state.textContent !== words) state.textContent = words;
  state.className = kind;
}

function renew(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const focused = document.activeElement;
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (now) become(old, document.importNode(now, true));
  }
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

// Changes `old` into `fresh`, leaving alone whatever is the same: focus, selection and scrolling survive.
function become(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else if (!old.isEqualNode(fresh)) {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    children(old, fresh);
  }
}

function children(old, fresh) {
  // Blank text between rows is nothing that rows should be matched with.
  for (const parent of [old, fresh]) {
    for (const node of [...parent.childNodes]) {
      if (node.nodeType === Node.TEXT_NODE && parent.children.length && !node.data.trim()) node.remove();
    }
  }
  const wanted = new Set([...fresh.children].map((child) => child.id).filter(Boolean));
  for (const child of [...old.children]) if (child.id && !wanted.has(child.id)) child.remove();
  const known = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const mine = child.id ? known.get(child.id) : at && !at.id ? at : null;
    if (!mine) {
      old.insertBefore(child, at);
      continue;
    }
    if (mine === at) at = at.nextSibling;
    else old.insertBefore(mine, at);
    become(mine, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function search() {
  const words = new URLSearchParams(new FormData(filter));
  for (const [name, value] of [...words]) if (!value) words.delete(name);
  history.replaceState(null, "", location.pathname + (words.size ? "?" + words : ""));
  ask(true);
}

if (filter) {
  let typing = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, 200);
  });
  filter.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  filter.querySelector("button").hidden = true;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    event.preventDefault();
    document.getElementById("q").focus();
  });
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) say("Paused", "");
  ask();
});
document.addEventListener("visibilitychange", () => ask());
pause.hidden = false;
say("Live", "on");
// What was just dropped ends a moment later.
timer = setTimeout(ask, document.querySelector(".note.good") ? BEAT / 5 : BEAT);
