"use strict";

// Intervals: every cell shows its bounds and n.
for (const button of document.querySelectorAll("button.details")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = document.getElementById(button.getAttribute("aria-controls")).classList.toggle("open");
    button.setAttribute("aria-pressed", String(open));
  });
}

// Sorting: within each group of rows, the better end first; rows without a value stay last.
for (const table of document.querySelectorAll("table.scores")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const label = head.querySelector(".label") ?? head;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...label.childNodes);
    label.append(button);
    button.addEventListener("click", () => {
      const first = head.dataset.sort === "text" ? "ascending" : head.dataset.sort;
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.ariaSort === first ? other : first;
      heads.forEach((each) => { each.ariaSort = null; });
      head.ariaSort = order;
      for (const body of table.tBodies) sortRows(body, column, head.dataset.sort === "text", order === "ascending" ? 1 : -1);
    });
  });
}

function sortRows(body, column, text, sign) {
  const number = (cell) => Number.parseFloat(cell.dataset.value ?? cell.textContent.replaceAll(",", ""));
  const value = (row) => text ? row.cells[column].textContent.trim() : number(row.cells[column]);
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (text) return sign * x.localeCompare(y);
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };
  body.append(...[...body.rows].filter((row) => !row.classList.contains("group")).sort(compare));
}

// Samples: a filter over captions and a larger view.
const samples = [...document.querySelectorAll(".sample")];
const filter = document.getElementById("filter");
if (filter) {
  filter.parentElement.hidden = false;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const sample of samples) {
      const caption = sample.querySelector(".caption").textContent.toLowerCase();
      sample.hidden = !words.every((word) => caption.includes(word));
    }
    const shown = samples.filter((sample) => !sample.hidden).length;
    document.getElementById("found").textContent = words.length ? `${shown} found` : "";
  });
}

const viewer = document.getElementById("viewer");
if (viewer && samples.length) {
  let current = samples[0];
  const show = (sample) => {
    current = sample;
    document.getElementById("viewer-caption").textContent = sample.querySelector(".caption").textContent;
    viewer.querySelector(".pictures").replaceChildren(...[...sample.querySelectorAll("figure")].map((figure) => {
      const copy = figure.cloneNode(true);
      copy.querySelector("img")?.removeAttribute("tabindex");
      copy.querySelector("img")?.removeAttribute("role");
      return copy;
    }));
  };
  const step = (by) => {
    const shown = samples.filter((sample) => !sample.hidden);
    show(shown[(shown.indexOf(current) + by + shown.length) % shown.length]);
  };
  for (const sample of samples) {
    for (const image of sample.querySelectorAll("img")) {
      image.tabIndex = 0;
      image.setAttribute("role", "button");
      const open = () => { show(sample); viewer.showModal(); };
      image.addEventListener("click", open);
      image.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
      });
    }
  }
  for (const button of viewer.querySelectorAll("button[value]")) button.addEventListener("click", () => step(Number(button.value)));
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
}
