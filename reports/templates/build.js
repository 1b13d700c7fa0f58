"use strict";

// One task alone, or all.
const tasks = document.querySelector(".tasks");
if (tasks) {
  tasks.hidden = false;
  tasks.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const each of tasks.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button));
    const task = button.dataset.task;
    for (const section of document.querySelectorAll("[data-tasks]")) {
      section.hidden = task !== "" && !section.dataset.tasks.split(" ").includes(task);
    }
    document.getElementById("shown-task").textContent = `Showing ${button.textContent}`;
    compareTask?.(task);
  });
}

// Samples: four of each run, more on request.
for (const some of document.querySelectorAll(".samples.some")) {
  const later = [...some.children].slice(4);
  if (!later.length) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = `Show all ${some.children.length}`;
  for (const card of later) card.hidden = true;
  button.addEventListener("click", () => {
    for (const card of later) card.hidden = false;
    button.remove();
    later[0].querySelector("img")?.focus();
  });
  some.after(button);
}

// Two models on the same captions: every picture is on the page already, under its run, label and caption.
const cards = [...document.querySelectorAll(".sample[data-run]")].map((card) => ({
  run: card.dataset.run,
  task: card.dataset.task,
  caption: card.querySelector(".caption").textContent,
  key: JSON.stringify([card.dataset.id, card.querySelector(".caption").textContent]),
  figures: [...card.querySelectorAll("figure")].filter((figure) => figure.querySelector("img")),
}));
const [taskPick, leftPick, rightPick] = ["task", "left", "right"].map((name) => document.getElementById(`compare-${name}`));
const models = (task) => {
  const found = new Map();
  for (const card of cards.filter((each) => each.task === task)) {
    for (const { dataset } of card.figures) {
      if (dataset.role !== "input") found.set(JSON.stringify([card.run, dataset.label]), { run: card.run, ...dataset });
    }
  }
  return found;
};
const comparable = [...new Set(cards.map((card) => card.task))].filter((task) => models(task).size > 1);
const compareTask = comparable.length ? (task) => {
  if (!comparable.includes(task)) return;
  taskPick.value = task;
  const found = models(task);
  const ranked = [...found.keys()].sort((a, b) => (found.get(b).role === "model") - (found.get(a).role === "model"));
  const runs = new Set([...found.values()].map((model) => model.run));
  const name = (model) => runs.size > 1 ? `${model.label} · ${model.run}` : model.label;
  [leftPick, rightPick].forEach((pick, place) => {
    pick.replaceChildren(...[...found].map(([key, model]) => new Option(name(model), key)));
    pick.value = ranked[place];
  });
  compareModels();
} : null;

function compareModels() {
  const sides = [leftPick, rightPick].map((pick) => ({ key: JSON.parse(pick.value), name: pick.selectedOptions[0].textContent }));
  const pictures = sides.map(({ key: [run, label] }) => new Map(cards
    .filter((card) => card.task === taskPick.value && card.run === run)
    .map((card) => [card.key, { card, figure: card.figures.find((figure) => figure.dataset.label === label) }])
    .filter(([, { figure }]) => figure)));
  const both = [...pictures[0].keys()].filter((key) => pictures[1].has(key));
  document.getElementById("compare-found").textContent = `${both.length} captions that both have`;
  document.getElementById("compared").replaceChildren(...both.map((key) => {
    const { card } = pictures[0].get(key);
    const beside = card.figures.filter((figure) => figure.dataset.role === "input" || figure.dataset.role === "real");
    const chosen = pictures.map((side) => side.get(key).figure);
    const article = document.createElement("article");
    article.className = "card sample";
    const caption = document.createElement("p");
    caption.className = "caption";
    caption.textContent = card.caption;
    const row = document.createElement("div");
    row.className = "pictures";
    row.append(...beside.filter((figure) => !chosen.includes(figure)).map((figure) => copied(figure)));
    row.append(...chosen.map((figure, place) => copied(figure, sides[place].name)));
    article.append(caption, row);
    return article;
  }));
}

function copied(figure, name) {
  const copy = figure.cloneNode(true);
  for (const attribute of ["tabindex", "role"]) copy.querySelector("img").removeAttribute(attribute);
  if (name) {
    copy.className = "chosen";
    copy.querySelector("figcaption").textContent = name;
  }
  return copy;
}

if (compareTask) {
  document.getElementById("compare").hidden = document.getElementById("to-compare").hidden = false;
  const titles = new Map([...document.querySelectorAll("section[data-tasks] > h2")].map((title) => [title.parentElement.dataset.tasks, title.textContent]));
  taskPick.replaceChildren(...comparable.map((task) => new Option(titles.get(task), task)));
  taskPick.addEventListener("change", () => compareTask(taskPick.value));
  for (const pick of [leftPick, rightPick]) pick.addEventListener("change", compareModels);
  compareTask(comparable[0]);
}

// Clips stand still on request, and from the start for who wants little motion.
const clips = document.getElementById("clips");
const stopClips = (stop) => {
  for (const image of document.querySelectorAll("img[data-frames]")) {
    if (stop && !image.dataset.clip) {
      const still = document.createElement("canvas");
      [still.width, still.height] = [image.naturalWidth, image.naturalHeight];
      still.getContext("2d").drawImage(image, 0, 0);
      image.dataset.clip = image.src;
      image.src = still.toDataURL();
    } else if (!stop && image.dataset.clip) {
      image.src = image.dataset.clip;
      delete image.dataset.clip;
    }
  }
  clips.setAttribute("aria-pressed", String(stop));
};
if (document.querySelector("img[data-frames]")) {
  clips.hidden = false;
  clips.addEventListener("click", () => stopClips(clips.getAttribute("aria-pressed") !== "true"));
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) addEventListener("load", () => stopClips(true));
}
