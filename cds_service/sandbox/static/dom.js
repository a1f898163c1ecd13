// Building the page: elements are made here and nowhere from strings, so that no data can become markup.

const PROPERTIES = new Set(["className", "textContent", "value", "checked", "disabled", "hidden", "open", "htmlFor"]);

/** An element. `attributes`: attributes, a few properties, and `on<event>` listeners; null and false leave one out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replace what a node holds. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return node;
}

/** Say a sentence to people who don't see the page change. */
export function announce(sentence) {
  const region = document.getElementById("announcer");
  region.textContent = "";
  // A live region repeats a sentence only when its text changes.
  requestAnimationFrame(() => { region.textContent = sentence; });
}

/** A random UUID; crypto.randomUUID is missing on plain http beyond localhost. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** "1 card", "2 cards". */
export function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
