// Each shard's share, as three bars.

import { $, el, setNodeText } from "./dom.js";
import { bytes, count, rate } from "./format.js";

const COLUMNS = [["connections", "var(--soft)"], ["published/s", "var(--out)"], ["delivered/s", "var(--in)"]];

/** `perSecond(now, then)` makes a rate of two counts; `then` may be missing. */
export function drawShards(shards, then, perSecond) {
  const rows = shards.map((shard, i) =>
    [shard.connections, perSecond(shard.published, then?.[i]?.published), perSecond(shard.delivered, then?.[i]?.delivered)]);
  const most = COLUMNS.map((_, column) => Math.max(1, ...rows.map((row) => row[column] || 0)));
  const holder = $("shards");
  while (holder.children.length > rows.length) holder.lastChild.remove();
  while (holder.children.length < rows.length) holder.append(newShard());
  rows.forEach((row, i) => drawShard(holder.children[i], shards[i], i, row, most));
}

function drawShard(node, shard, i, row, most) {
  setNodeText(node.firstChild, "shard " + (shard.shard ?? i));
  node.title = `home to ${count(shard.rooms)} rooms, inbox ${count(shard.inbox_depth)}, backlog ${bytes(shard.backlog_bytes)}, slow disconnects ${count(shard.slow_disconnects)}`;
  row.forEach((value, column) => {
    node.bars[column].style.setProperty("--part", Math.min(1, (value || 0) / most[column]));
    setNodeText(node.values[column], column ? rate(value) : count(value));
  });
}

function newShard() {
  const node = el("div", "shard", "", el("b"));
  node.bars = [];
  node.values = [];
  for (const [name, colour] of COLUMNS) {
    const bar = el("i"), value = el("span", "num", "–");
    bar.style.setProperty("--key", colour);
    node.append(el("span", "track", "", el("span", "", name), bar), value);
    node.bars.push(bar);
    node.values.push(value);
  }
  return node;
}
