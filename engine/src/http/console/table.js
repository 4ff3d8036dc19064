// A table that follows a list: rows keep their place and their buttons while their values change.

import { el, setNodeText } from "./dom.js";

/**
 * `columns`: `{ title, text(row), className?, full?(row) }`, or `{ title, node(row) }` for what is no text; `node` is
 * called once for each row that is new, later with its key unchanged. `full` is shown when a pointer rests on the cell.
 * `tag(row)`, beside `text`, makes the text a tag: "good", "warn", "bad" or "" say its colour.
 * Class names: "num" for numbers, "mono" for ids, "cut" for long text. Gives `{ element, draw(rows, keyOf) }`.
 */
export function newTable(columns) {
  const body = el("tbody"), head = el("tr");
  for (const { title, className = "" } of columns) {
    const cell = el("th", className, title);
    cell.scope = "col";
    head.append(cell);
  }
  const element = el("div", "table", "", el("table", "", "", el("thead", "", "", head), body));
  const known = new Map(); // key -> row element

  function newRow(row) {
    return el("tr", "", "", ...columns.map(({ title, className = "", node, tag }) => {
      const cell = el("td", className);
      if (node) cell.append(node(row));
      if (tag) cell.append(el("span"));
      cell.dataset.title = title; // narrow screens show it beside the value
      return cell;
    }));
  }

  function draw(rows, keyOf) {
    const gone = new Set(known.keys());
    rows.forEach((row, i) => {
      const key = keyOf(row);
      if (!known.has(key)) known.set(key, newRow(row));
      gone.delete(key);
      const line = known.get(key);
      columns.forEach(({ text, full, tag }, column) => {
        const cell = line.children[column];
        if (text) setNodeText(tag ? cell.firstChild : cell, String(text(row)));
        if (tag) cell.firstChild.className = `tag ${tag(row)}`.trim();
        if (full) cell.title = String(full(row));
      });
      if (body.children[i] !== line) body.insertBefore(line, body.children[i] ?? null);
    });
    for (const key of gone) {
      known.get(key).remove();
      known.delete(key);
    }
    element.hidden = rows.length === 0;
  }

  return { element, draw };
}
