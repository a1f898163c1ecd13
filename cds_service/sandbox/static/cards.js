// Cards as an EHR draws them: indicator, summary, detail, source, suggestions, links, and a way to say no.

import { announce, el, plural } from "./dom.js";
import { conceptText, create, update } from "./fhir.js";
import { markdown } from "./markdown.js";

const INDICATORS = { info: "Information", warning: "Warning", critical: "Critical" };

/** One card. `tell(card, entry)` sends feedback; `stored()` is called after a suggestion wrote to the chart. */
export function cardElement(card, { tell, stored, before }) {
  const indicator = INDICATORS[card.indicator] ? card.indicator : "info";
  const outcome = el("p", { className: "outcome", role: "status" });
  const node = el("article", { className: `card ${indicator}`, "data-card": card.uuid ?? "" },
    el("p", { className: "indicator" }, INDICATORS[indicator]),
    el("h3", {}, card.summary),
    before ? el("p", { className: "before soft" }, "Before: ", el("del", {}, before)) : null,
    card.detail ? el("div", { className: "detail" }, markdown(card.detail)) : null,
    suggestions(card, tell, stored, outcome),
    links(card),
    source(card.source),
    dismissal(card, tell, outcome),
    outcome,
  );
  return node;
}

function source(from) {
  if (!from?.label) return null;
  const label = /^https?:/.test(from.url ?? "")
    ? el("a", { href: from.url, target: "_blank", rel: "noopener noreferrer" }, from.label) : from.label;
  return el("p", { className: "source soft" }, "Source: ", label);
}

function links(card) {
  if (!card.links?.length) return null;
  const one = (link) => {
    if (link.type === "smart") {
      return el("li", {}, link.label, el("span", { className: "soft" }, " (a SMART app: this sandbox launches none)"));
    }
    if (!/^https?:/.test(link.url ?? "")) return el("li", {}, link.label);
    return el("li", {}, el("a", { href: link.url, target: "_blank", rel: "noopener noreferrer" }, link.label));
  };
  return el("ul", { className: "links", "aria-label": "Links" }, card.links.map(one));
}

function suggestions(card, tell, stored, outcome) {
  if (!card.suggestions?.length) return null;
  const buttons = [];
  const rows = card.suggestions.map((suggestion) => {
    const button = el("button", { type: "button", className: "accept" }, suggestion.label);
    buttons.push(button);
    button.addEventListener("click", () =>
      accept(card, suggestion, button, card.selectionBehavior === "at-most-one" ? buttons : [button], { tell, stored, outcome }));
    const recommended = suggestion.isRecommended ? el("span", { className: "soft" }, " recommended") : null;
    return el("li", {}, button, recommended, actionList(suggestion));
  });
  return el("div", { className: "suggestions" }, el("h4", {}, "Suggestions"), el("ul", {}, rows));
}

function actionList(suggestion) {
  if (!suggestion.actions?.length) return null;
  const items = suggestion.actions.map((action) => {
    const what = conceptText(action.resource?.code);
    return el("li", {}, action.description, action.description?.includes(what) ? null : el("span", { className: "soft" }, ` ${what}`));
  });
  return el("details", {}, el("summary", {}, `What it does: ${plural(items.length, "action")}`), el("ul", {}, items));
}

async function accept(card, suggestion, button, group, { tell, stored, outcome }) {
  for (const one of group) one.disabled = true;
  try {
    const written = [];
    for (const action of suggestion.actions ?? []) written.push(await perform(action));
    const sent = await tell(card, { outcome: "accepted", acceptedSuggestions: [{ id: suggestion.uuid }] });
    button.classList.add("done");
    const kept = written.length ? `${plural(written.length, "resource")} stored on the chart. ` : "";
    outcome.textContent = `Accepted: ${suggestion.label}. ${kept}${sent}`;
    outcome.scrollIntoView({ block: "nearest" });
    if (written.length) stored();
  } catch (error) {
    for (const one of group) one.disabled = false;
    outcome.textContent = `Not accepted. ${error.message}`;
  }
}

function perform(action) {
  if (action.type === "create") return create(action.resource);
  if (action.type === "update") return update(action.resource);
  throw new Error("This sandbox does not delete resources.");
}

function dismissal(card, tell, outcome) {
  const reasons = card.overrideReasons ?? [];
  const select = el("select", {}, el("option", { value: "" }, "No reason given"),
    reasons.map((reason, index) => el("option", { value: index }, reason.display ?? reason.code)));
  const comment = el("input", { type: "text", maxlength: "200", autocomplete: "off" });
  const form = el("form", {},
    el("label", {}, "Reason", select), el("label", {}, "Comment (optional)", comment),
    el("button", { type: "submit", className: "quiet" }, "Dismiss"));
  const box = el("details", { className: "dismiss" }, el("summary", {}, "Dismiss this card"), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const entry = { outcome: "overridden" };
    const overrideReason = {
      ...(select.value !== "" ? { reason: reasons[Number(select.value)] } : {}),
      ...(comment.value.trim() ? { userComment: comment.value.trim() } : {}),
    };
    if (Object.keys(overrideReason).length) entry.overrideReason = overrideReason;
    const sent = await tell(card, entry).catch((error) => error.message);
    const node = box.closest(".card");
    node.classList.add("dismissed");
    outcome.textContent = `Dismissed${select.value !== "" ? `: ${select.selectedOptions[0].textContent}` : ""}. ${sent}`;
    box.remove();
    outcome.tabIndex = -1;
    outcome.focus();
  });
  return box;
}

/** Which cards do not come because of an earlier answer, and a way to bring them back. `wake()` does that. */
export function restsElement(rests, trials, { wake }) {
  const one = ({ trial, reason, users, days }) => {
    const known = trials.find((each) => each.id === trial);
    return el("li", {}, el("strong", {}, reason), `: the card of ${known?.nct ?? trial} rests `,
      days ? `${days} days for ${users}.` : `for ${users}, until it is revoked.`);
  };
  const problem = el("p", { className: "soft", role: "status" });
  const button = el("button", { type: "button", className: "quiet" }, "Bring back");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try { await wake(); } catch (error) {
      button.disabled = false;
      problem.textContent = `Not brought back. ${error.message}`;
    }
  });
  return el("section", { className: "notice rests", "aria-label": "Cards at rest" },
    el("ul", {}, rests.map(one)),
    el("p", { className: "soft" }, "Feedback on an earlier card asked for this. At a site an operator ends it on the command line; here this button does."),
    button, problem);
}

/** What is said aloud when cards arrive. */
export function announceCards(cards, milliseconds) {
  const summaries = cards.map((card) => card.summary).join(". ");
  announce(cards.length ? `${plural(cards.length, "card")} in ${milliseconds} milliseconds. ${summaries}` : "No card for this patient.");
}
