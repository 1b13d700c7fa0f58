"use strict";

// Where a number comes from: Enter or a click on it shows its protocol and how it was made. A table is one stop of the Tab key;
// arrow keys go from number to number.
const origin = document.getElementById("origin");
for (const table of origin ? document.querySelectorAll("table.scores:not(.speed)") : []) {
  let stop = null;
  for (const value of table.querySelectorAll("tbody td .value")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "number";
    button.setAttribute("aria-haspopup", "dialog");
    button.tabIndex = stop ? -1 : 0;
    stop ??= button;
    button.append(...value.childNodes);
    value.append(button);
    button.addEventListener("click", () => { settle(button); explain(button); });
    button.addEventListener("keydown", (event) => {
      const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const next = way && neighbour(button, ...way);
      if (way) event.preventDefault();
      if (next) { settle(next); next.focus(); }
    });
  }
  const settle = (button) => { stop.tabIndex = -1; stop = button; stop.tabIndex = 0; };
  const neighbour = (button, down, right) => {
    const rows = [...table.querySelectorAll("tbody tr:not(.group)")];
    let row = rows.indexOf(button.closest("tr"));
    let column = button.closest("td").cellIndex;
    for (;;) {
      row += down;
      column += right;
      const cell = rows[row]?.cells[column];
      const found = cell?.querySelector("button.number");
      if (!cell || found) return found;
    }
  };
}

function explain(button) {
  const cell = button.closest("td");
  const row = cell.closest("tr");
  const name = words(row.cells[0]);
  document.getElementById("origin-title").textContent = `${name}: ${words(cell.closest("table").tHead.rows[0].cells[cell.cellIndex])}`;
  const facts = [["Printed", words(button)], ["95% interval", cell.dataset.n && words(cell.querySelector("small"))]];
  facts.push(["As recorded", cell.dataset.value], ["Samples", cell.dataset.n], ["Rows", words(row.parentElement.rows[0])]);
  if (!cell.dataset.n) facts.push(["Source", row.dataset.source]);
  const record = find("[data-record]", "record", row.dataset.source);
  const sampled = [...record?.querySelectorAll(".sampling tbody tr") ?? []].find((each) => name === words(each.cells[0]) || name.startsWith(`${words(each.cells[0])} · `));
  if (sampled) facts.push(["Sampling", words(sampled.cells[2])]);
  document.getElementById("origin-number").replaceChildren(...facts.filter(([, fact]) => fact).flatMap(([term, fact]) => [made("dt", term), made("dd", fact)]));
  const protocol = find("[data-protocol-id]", "protocolId", cell.dataset.protocol);
  const parts = protocol ? [...protocol.children].filter((part) => part.tagName !== "SUMMARY").map((part) => part.cloneNode(true)) : [];
  document.getElementById("origin-protocol").replaceChildren(...(cell.dataset.protocol ? [made("h3", `Protocol ${cell.dataset.protocol}`)] : []), ...parts);
  const how = record?.querySelector(".facts");
  document.getElementById("origin-record").replaceChildren(...(how ? [made("h3", `Record ${row.dataset.source}`), how.cloneNode(true)] : []));
  origin.showModal();
  origin.scrollTop = 0;
}

function words(element) {
  const copy = element.cloneNode(true);
  for (const part of copy.querySelectorAll("sup, .sr")) part.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function find(selector, key, value) {
  return value === undefined ? undefined : [...document.querySelectorAll(selector)].find((each) => each.dataset[key] === value);
}

function made(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

origin?.addEventListener("click", (event) => { if (event.target === origin) origin.close(); });
