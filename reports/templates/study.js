"use strict";

// A study: pairs in an order and on sides of this rater's own, votes by key or button, kept until they are exported.
const studyName = document.getElementById("study").dataset.study;
const pairs = new Map([...document.querySelectorAll(".pair")].map((pair) => [pair.dataset.pair, pair]));
const part = (name) => document.getElementById(name);

function shuffled(items) {
  const numbers = crypto.getRandomValues(new Uint32Array(items.length));
  return items.map((item, place) => [numbers[place], item]).sort(([a], [b]) => a - b).map(([, item]) => item);
}

function begun() {
  const order = shuffled([...pairs.keys()]);
  const lefts = shuffled(order.map((_, place) => place % 2 ? "x" : "y"));
  return { order, left: Object.fromEntries(order.map((pair, place) => [pair, lefts[place]])), votes: [] };
}

const kept = localStorage.getItem(`study-${studyName}`);
const state = kept ? JSON.parse(kept) : begun();
let since = performance.now();

function show() {
  localStorage.setItem(`study-${studyName}`, JSON.stringify(state));
  const number = state.votes.length;
  const pair = state.order[number];
  part("progress").value = number;
  part("count").textContent = `${number} of ${pairs.size}`;
  part("voting").hidden = pair === undefined;
  part("done").hidden = pair !== undefined;
  part("export").hidden = number === 0;
  if (pair === undefined) { part("done-title").focus(); return; }
  const left = state.left[pair];
  part("asked").textContent = pairs.get(pair).querySelector("p").textContent;
  part("duel").replaceChildren(...[left, left === "x" ? "y" : "x"].map((name, side) => {
    const picture = pairs.get(pair).querySelector(`[data-picture=${name}]`).cloneNode(true);
    delete picture.dataset.picture;
    picture.alt = side ? "Right" : "Left";
    picture.addEventListener("click", () => vote(side ? "right" : "left"));
    return picture;
  }));
  since = performance.now();
}

function vote(what) {
  const pair = state.order[state.votes.length];
  if (pair === undefined) return;
  const left = state.left[pair];
  const choice = what === "tie" ? "tie" : what === "left" ? left : left === "x" ? "y" : "x";
  state.votes.push({ pair, choice, left, seconds: Math.round(performance.now() - since) / 1000 });
  show();
}

function undo() {
  state.votes.pop();
  show();
}

addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  const what = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie" }[event.key];
  if (!what && event.key !== "Backspace") return;
  event.preventDefault();
  if (what) vote(what); else undo();
});
for (const button of document.querySelectorAll("[data-vote]")) button.addEventListener("click", () => vote(button.dataset.vote));
part("undo").addEventListener("click", undo);
part("export").addEventListener("submit", (event) => {
  event.preventDefault();
  const rater = part("rater").value.trim();
  const ballot = { schema: "nuwa-votes-1", study: studyName, rater, votes: state.votes };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify(ballot, null, 2)}\n`], { type: "application/json" }));
  link.download = `votes-${rater.replace(/[^\p{L}\p{N}]+/gu, "-")}-${studyName}.json`;
  link.click();
  part("exported").textContent = `${state.votes.length} of ${pairs.size} votes are in ${link.download}, with your downloads.`;
});
show();
