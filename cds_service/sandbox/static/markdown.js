// GitHub-flavoured Markdown as cards use it, built as DOM nodes: raw HTML in a card stays visible text, links open only
// http(s) and mailto, images become their alternative text. Unknown syntax is shown as it was written.

import { el } from "./dom.js";

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const MAX_DEPTH = 12;

/** The nodes of a Markdown text. */
export function markdown(text) {
  return blocks(String(text).replace(/\r\n?/g, "\n").split("\n"), 0);
}

const isBlank = (line) => /^\s*$/.test(line);
const LIST = /^(\s*)([-*+]|\d{1,9}[.)])(\s+)(.*)$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

function blocks(lines, depth) {
  if (depth > MAX_DEPTH) return [document.createTextNode(lines.join("\n"))];
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line);
    if (isBlank(line)) at += 1;
    else if (/^ {0,3}(```|~~~)/.test(line)) at = fence(lines, at, nodes);
    else if (heading) { nodes.push(el("h5", {}, inline(heading[2]))); at += 1; }
    else if (RULE.test(line)) { nodes.push(el("hr")); at += 1; }
    else if (/^ {0,3}>/.test(line)) at = quote(lines, at, nodes, depth);
    else if (LIST.test(line)) at = list(lines, at, nodes, depth);
    else if (line.includes("|") && DIVIDER.test(lines[at + 1] ?? "") && lines[at + 1].includes("-")) at = table(lines, at, nodes);
    else at = paragraph(lines, at, nodes);
  }
  return nodes;
}

function fence(lines, start, nodes) {
  const mark = lines[start].trim().slice(0, 3);
  let end = start + 1;
  while (end < lines.length && !lines[end].trim().startsWith(mark)) end += 1;
  nodes.push(el("pre", {}, el("code", {}, lines.slice(start + 1, end).join("\n"))));
  return end + 1;
}

function quote(lines, start, nodes, depth) {
  let end = start;
  while (end < lines.length && /^ {0,3}>/.test(lines[end])) end += 1;
  const inner = lines.slice(start, end).map((line) => line.replace(/^ {0,3}> ?/, ""));
  nodes.push(el("blockquote", {}, blocks(inner, depth + 1)));
  return end;
}

function list(lines, start, nodes, depth) {
  const first = LIST.exec(lines[start]);
  const ordered = /\d/.test(first[2]);
  const indent = first[1].length;
  const items = [];
  let at = start;
  while (at < lines.length) {
    const item = LIST.exec(lines[at]);
    if (item && item[1].length <= indent + 1 && /\d/.test(item[2]) === ordered && item[1].length >= indent) {
      items.push([item[4]]);
      at += 1;
    } else if (items.length && isBlank(lines[at])) {
      const next = lines[at + 1] ?? "";
      const goesOn = /^\s{2,}\S/.test(next) || (LIST.exec(next)?.[1].length === indent);
      if (!goesOn) break;
      items.at(-1).push("");
      at += 1;
    } else if (items.length && (/^\s+/.exec(lines[at])?.[0].length ?? 0) > indent) {
      items.at(-1).push(lines[at].slice(Math.min(/^\s*/.exec(lines[at])[0].length, indent + first[2].length + first[3].length)));
      at += 1;
    } else break;
  }
  nodes.push(el(ordered ? "ol" : "ul", {}, items.map((item) => el("li", {}, tight(blocks(item, depth + 1))))));
  return at;
}

/** A list item's single paragraphs read better without their own margins. */
const tight = (nodes) => nodes.flatMap((node) => (node.nodeName === "P" ? [...node.childNodes] : [node]));

function table(lines, start, nodes) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, "|"));
  let end = start + 2;
  while (end < lines.length && lines[end].includes("|") && !isBlank(lines[end])) end += 1;
  const head = el("tr", {}, cells(lines[start]).map((cell) => el("th", { scope: "col" }, inline(cell))));
  const body = lines.slice(start + 2, end).map((line) => el("tr", {}, cells(line).map((cell) => el("td", {}, inline(cell)))));
  nodes.push(el("table", {}, el("thead", {}, head), el("tbody", {}, body)));
  return end;
}

function paragraph(lines, start, nodes) {
  let end = start + 1;
  const ends = (line) => isBlank(line) || LIST.test(line) || RULE.test(line) || /^ {0,3}(#{1,6}\s|>|```|~~~)/.test(line);
  while (end < lines.length && !ends(lines[end])) end += 1;
  nodes.push(el("p", {}, inline(lines.slice(start, end).join("\n").trim())));
  return end;
}

// Inline rules in the order in which they are tried; each consumes from the front of the text.
const RULES = [
  [/^\\([!-/:-@[-`{-~])/, (m) => m[1]],
  [/^(?: {2,}|\\)\n\s*/, () => el("br")],
  [/^(`+)([\s\S]*?[^`])\1(?!`)/, (m) => el("code", {}, m[2].replace(/\n/g, " ").trim())],
  [/^!\[([^\]]*)\]\([^)\s]*(?:\s+"[^"]*")?\)/, (m) => m[1]],
  [/^\[((?:\\.|[^[\]\\]|\[[^\]]*\])*)\]\(<?((?:\\.|[^\s()<>\\]|\([^\s()]*\))*)>?(?:\s+"[^"]*")?\)/, (m, d) => link(m[2], inline(m[1], d + 1))],
  [/^<(https?:\/\/[^\s<>]+|mailto:[^\s<>]+)>/, (m) => link(m[1], [m[1]])],
  [/^https?:\/\/[^\s<>()]+[^\s<>().,;:!?'"*_~]/, (m) => link(m[0], [m[0]])],
  [/^\*\*(?=\S)([\s\S]*?\S)\*\*(?!\*)/, (m, d) => el("strong", {}, inline(m[1], d + 1))],
  [/^__(?=\S)([\s\S]*?\S)__(?![\w_])/, (m, d) => el("strong", {}, inline(m[1], d + 1))],
  [/^\*(?=[^\s*])([\s\S]*?[^\s*])\*(?!\*)/, (m, d) => el("em", {}, inline(m[1], d + 1))],
  [/^_(?=[^\s_])([\s\S]*?[^\s_])_(?![\w_])/, (m, d) => el("em", {}, inline(m[1], d + 1))],
  [/^~~(?=\S)([\s\S]*?\S)~~/, (m, d) => el("del", {}, inline(m[1], d + 1))],
  [/^&(#\d{1,7}|#x[\da-f]{1,6}|\w{2,8});/i, (m) => entity(m)],
];

function inline(text, depth = 0) {
  const nodes = [];
  let rest = text;
  let plain = "";
  while (rest) {
    // An underscore inside a word is part of the word.
    const insideWord = rest[0] === "_" && /\w$/.test(plain);
    const hit = depth > MAX_DEPTH || insideWord ? null : firstMatch(rest);
    if (hit) {
      const made = hit.rule[1](hit.match, depth);
      if (typeof made === "string") plain += made;
      else {
        if (plain) nodes.push(plain);
        plain = "";
        nodes.push(made);
      }
      rest = rest.slice(hit.match[0].length);
    } else {
      plain += rest[0];
      rest = rest.slice(1);
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}

function firstMatch(text) {
  if (!/^[\\`![<h*_~& ]/.test(text)) return null;
  for (const rule of RULES) {
    const match = rule[0].exec(text);
    if (match) return { rule, match };
  }
  return null;
}

function link(target, children) {
  const address = target.replace(/\\([!-/:-@[-`{-~])/g, "$1").replace(/&amp;/g, "&");
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return el("span", {}, children);
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, children);
}

function entity([whole, name]) {
  if (name[0] !== "#") return ENTITIES[name.toLowerCase()] ?? whole;
  const point = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : Number(name.slice(1));
  return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
}
