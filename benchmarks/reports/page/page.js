// Sorts, filters, copies and draws. Without it the tables are complete, in the order of their first metric.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Sorting: a tbody is a row with its fold-out, so that both move together. A row without a value stays last.
const sortValue = (body, place, kind) => {
  const cell = body.rows[0].cells[place];
  if (kind === "number") return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  return cell.textContent.trim() || null;
};
const byText = new Intl.Collator("en", { numeric: true });
const sort = (button) => {
  const head = button.closest("th"), table = button.closest("table");
  const first = button.dataset.better === "higher" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  all("th[aria-sort]", table).forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1, kind = button.dataset.sort;
  const rows = [...table.tBodies].map((body) => [sortValue(body, head.cellIndex, kind), body]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (kind === "number" ? a - b : byText.compare(a, b));
  });
  table.append(...rows.map(([, body]) => body));
};
all("th button[data-sort]").forEach((button) => button.addEventListener("click", () => sort(button)));

// Filtering: a row is shown if it has all words and all chosen values; a section without rows is hidden.
const tools = document.getElementById("tools"), words = document.getElementById("words");
const bodies = all("section.protocol table.board > tbody").map((body) => [body, body.rows[0].textContent.toLowerCase()]);
const attributes = (body) => Object.values(body.dataset).join(" ").toLowerCase();
const filter = () => {
  const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = all("select[data-filter]", tools).filter((select) => select.value);
  for (const [body, text] of bodies) {
    const row = `${text} ${attributes(body)}`;
    body.hidden = !(asked.every((word) => row.includes(word)) &&
      chosen.every((select) => body.dataset[select.dataset.filter] === select.value));
  }
  let shown = 0, rows = 0;
  for (const section of all("section.protocol")) {
    const inside = [...(section.querySelector("table.methods") ?? section.querySelector("table.all")).tBodies];
    const left = inside.filter((body) => !body.hidden).length;
    section.hidden = left === 0;
    shown += left;
    rows += inside.length;
  }
  document.getElementById("count").textContent = `${shown} of ${rows} methods`;
};
tools.hidden = false;
tools.addEventListener("input", filter);
tools.addEventListener("submit", (event) => event.preventDefault());
filter();

// Averages or single runs.
document.getElementById("rows").addEventListener("change", (event) => {
  const single = event.target.value === "runs";
  for (const details of all("details.singles")) {
    details.open = single;
    details.closest("section").querySelector("table.methods").parentElement.hidden = single;
  }
});

// The rest of a long table.
for (const button of all("button.whole")) {
  button.addEventListener("click", () => {
    button.parentElement.previousElementSibling.querySelector("table").classList.add("complete");
    button.parentElement.remove();
  });
}

// Copying: each command gets a button when its fold-out is opened. Where a page of a file may not use the clipboard,
// the command is selected, for the reader to copy.
const copy = async (button, code) => {
  getSelection().selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "copied";
  } catch {
    button.textContent = "selected";
  }
};
const opened = (event) => {
  for (const code of all(".command code:only-child", event.target)) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "copy" });
    button.addEventListener("click", () => copy(button, code));
    code.after(button);
  }
};
document.addEventListener("toggle", opened, true);

// Charts, one after another, when nothing else is to be done. logLevel 1: values without intervals are no warning.
const idle = window.requestIdleCallback ?? ((task) => setTimeout(task, 1));
const charts = all("figure");
const draw = async () => {
  const figure = charts.shift();
  if (!figure) return document.documentElement.setAttribute("data-drawn", "");
  const specification = JSON.parse(figure.querySelector("script.specification").textContent);
  const options = { mode: "vega-lite", renderer: "svg", actions: false, tooltip: { theme: "custom" }, logLevel: 1 };
  await vegaEmbed(figure.querySelector(".chart"), specification, options);
  idle(draw);
};
idle(draw);
