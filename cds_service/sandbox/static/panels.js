// The page's further panels: the full assessment in words, and the requests and responses as they went over the wire.

import { announce, el, fill } from "./dom.js";
import { outcomeText } from "./fhir.js";
import { report } from "./service.js";

/** The full assessment of one record. `exchange`: the answered POST to /assessments. */
export async function assessmentPanel(panel, exchange) {
  if (!exchange.ok) return fill(panel, problem(exchange));
  const html = await report(exchange.response);
  // The server has escaped every text in this fragment; it holds no script, and the page's policy would run none.
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const copy = el("form", { method: "post", action: "report", target: "_blank" },
    el("input", { type: "hidden", name: "assessments", value: JSON.stringify(exchange.response) }),
    el("button", { type: "submit", className: "quiet" }, "Open the page to print"));
  return fill(panel, copy, [...parsed.body.children].map((node) => document.adoptNode(node)));
}

/** The exchanges of this chart, newest first. */
export function wirePanel(panel, exchanges) {
  if (!exchanges.length) return fill(panel, el("p", { className: "soft" }, "Nothing was sent yet."));
  const shown = exchanges.find((one) => one.title === "patient-view") ?? exchanges[0];
  return fill(panel, exchanges.map((one) => el("details", { className: "exchange", open: one === shown },
    el("summary", {}, el("strong", {}, one.title), ` POST ${new URL(one.url).pathname} · ${one.status} · ${one.milliseconds} ms`),
    json("Request", one.request), json("Response", one.response ?? "(empty)"))));
}

function json(title, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const copy = el("button", { type: "button", className: "quiet small" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(text);
    announce(`${title} copied`);
  });
  return el("section", {}, el("h4", {}, title, " ", copy),
    el("pre", { tabindex: "0", role: "region", "aria-label": `${title} JSON` }, el("code", {}, text)));
}

/** An error as a person reads it. */
export function problem(exchange) {
  const text = outcomeText(exchange.response) || exchange.message || `The service answered ${exchange.status}.`;
  return el("p", { className: "notice", role: "alert" }, text);
}
