"use strict";
// The page says everything without this: it only filters and sorts the table of hosts, and opens what folds for printing.
(() => {
  document.documentElement.classList.add("js");
  const table = document.getElementById("hosts");
  const folded = [...document.querySelectorAll("details")];
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = folded.filter((each) => !each.open);
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });
  if (!table) return;

  const tools = document.getElementById("tools");
  const field = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const details = new Map([...document.querySelectorAll("details.host")].map((each) => [each.dataset.host, each]));
  const states = [...tools.querySelectorAll("button")];
  const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  function filter() {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = states.filter((each) => each.getAttribute("aria-pressed") === "true").map((each) => each.dataset.state);
    let count = 0;
    for (const row of rows) {
      const fits =
        (!pressed.length || pressed.includes(row.dataset.state)) && wanted.every((word) => words.get(row).includes(word));
      row.hidden = details.get(row.dataset.host).hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length} hosts`;
  }

  function sort(head, direction) {
    const column = head.cellIndex;
    const key = (row) => row.cells[column].dataset.key;
    const compare =
      head.dataset.sort === "number"
        ? (one, other) => Number(key(one)) - Number(key(other))
        : (one, other) => (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0);
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    body.append(...rows.slice().sort((one, other) => sign * compare(one, other)));
  }

  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () =>
      sort(head, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"),
    );
  }
  table.tHead.rows[0].cells[1].setAttribute("aria-sort", "ascending");

  for (const each of states) {
    each.addEventListener("click", () => {
      each.setAttribute("aria-pressed", String(each.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  field.addEventListener("input", filter);
  tools.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && document.activeElement !== field) {
      event.preventDefault();
      field.focus();
    } else if (event.key === "Escape" && document.activeElement === field) {
      field.value = "";
      filter();
    }
  });
  body.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link) details.get(link.closest("tr").dataset.host).open = true;
  });
  tools.hidden = false;
  filter();
})();
